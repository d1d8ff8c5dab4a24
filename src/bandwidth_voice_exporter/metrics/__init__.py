"""The catalog, the fold of calls into it, and how it is exposed; knows no disk."""

from bandwidth_voice_exporter.metrics import catalog, checkpoint, exposition
from bandwidth_voice_exporter.metrics.closed_sets import (
    COUNTED,
    DUPLICATE,
    IGNORED,
    KINDS,
    PASSED,
    REJECTIONS,
    UNAUTHENTICATED,
    CappedLabel,
    ForwardReason,
    Kind,
    LedgerOperation,
    ListenerName,
    RejectionReason,
    Result,
)
from bandwidth_voice_exporter.metrics.forward_instruments import (
    ForwardInstruments,
    RouteInstruments,
)
from bandwidth_voice_exporter.metrics.instruments import COUNTERS, Instruments
from bandwidth_voice_exporter.metrics.ledger_instruments import LedgerInstruments
from bandwidth_voice_exporter.metrics.messages import Messages
from bandwidth_voice_exporter.metrics.minutes import MINUTE
from bandwidth_voice_exporter.metrics.reconcile_instruments import ReconcileInstruments
from bandwidth_voice_exporter.metrics.render import Lines
from bandwidth_voice_exporter.metrics.snapshot import Snapshot, snapshot_of
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits

__all__ = [
    "COUNTED",
    "COUNTERS",
    "DUPLICATE",
    "IGNORED",
    "KINDS",
    "MINUTE",
    "PASSED",
    "REJECTIONS",
    "UNAUTHENTICATED",
    "CappedLabel",
    "ForwardInstruments",
    "ForwardReason",
    "Instruments",
    "Kind",
    "LedgerInstruments",
    "LedgerOperation",
    "Limits",
    "Lines",
    "ListenerName",
    "Messages",
    "ReconcileInstruments",
    "RejectionReason",
    "Result",
    "RouteInstruments",
    "Snapshot",
    "Tally",
    "catalog",
    "checkpoint",
    "exposition",
    "snapshot_of",
]
