"""The state of a ledger on disk."""

import msgspec

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.store import Store


class Books(msgspec.Struct):
    """The state of a durable ledger: the database, the row it counts on from, the saved totals.

    ``failure`` says why it can only be read.
    """

    store: Store | None = None
    last_row: int = 0
    saved_row: int = 0
    failure: StoreError | None = None
