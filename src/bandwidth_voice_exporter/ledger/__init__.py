"""The ledger: keeps and looks up ended calls, each leg once, durably; knows no HTTP."""

from bandwidth_voice_exporter.ledger.asked import Reader
from bandwidth_voice_exporter.ledger.copying import Copied, LedgerPlace, copied
from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.directory import Claim, StorageError, look_at
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.key import kept as kept_secret
from bandwidth_voice_exporter.ledger.look import ReadError
from bandwidth_voice_exporter.ledger.lookup import Lookup
from bandwidth_voice_exporter.ledger.memory import Ledger, NotingLedger
from bandwidth_voice_exporter.ledger.opening import check as check_ledger
from bandwidth_voice_exporter.ledger.opening import (
    looked_into,
    opened,
    reader_of,
    secret_of,
)
from bandwidth_voice_exporter.ledger.page import Page
from bandwidth_voice_exporter.ledger.query import MOST, OLDEST, Query, QueryError
from bandwidth_voice_exporter.ledger.replica import Replica
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.store import FILE

__all__ = [
    "FILE",
    "MOST",
    "OLDEST",
    "Claim",
    "Copied",
    "Fingerprints",
    "Ledger",
    "LedgerPlace",
    "Lookup",
    "NotingLedger",
    "Page",
    "Query",
    "QueryError",
    "ReadError",
    "Reader",
    "Replica",
    "Runtime",
    "StorageError",
    "StoreError",
    "check_ledger",
    "copied",
    "kept_secret",
    "look_at",
    "looked_into",
    "opened",
    "reader_of",
    "secret_of",
]
