"""Work on the database between commits, a bounded step at a time: pruning, tidying, cutting."""

import time

import msgspec

from bandwidth_voice_exporter.ledger.database import LOG_ROOM
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import KINDS, Kind, LedgerInstruments

_FULL = 0.9  # of max_bytes less the log's room, where pruning by size begins
_HELD_SECONDS = 5.0  # longer than a look-up of the exporter's own reads
_ANY_TIME = 2**63 - 1  # microseconds


class Retention(msgspec.Struct, frozen=True):
    """How long rows are kept (microseconds by kind), and how much disk they may take."""

    keep: dict[Kind, int]
    max_bytes: int


class Upkeep:
    """Keeps a database within its retention and its log short; in the writer's thread."""

    def __init__(self, retention: Retention, instruments: LedgerInstruments, log: Log) -> None:
        self._retention = retention
        self._instruments = instruments
        self._log = log
        self._held_since: float | None = None

    def step(self, store: Store, now: int, saved_row: int, *, is_sure: bool) -> bool:
        """Take a step with all of it; say whether there is more to do.

        Only rows up to the saved one are pruned, and for their age only where the clock is sure.
        """
        is_held = store.is_log_held()
        self._watch_log(store.log_bytes(), is_held=is_held)
        has_more = self._prune(store, now, saved_row, is_sure=is_sure)
        has_more |= store.tidy(is_log_held=is_held)
        if not is_held:  # the pages would lengthen the log, and the file would stay as long
            store.shrink()
        self.measure(store)
        return has_more

    def measure(self, store: Store) -> None:
        """Say how large the ledger is."""
        self._instruments.rows.set(store.rows())
        self._instruments.bytes.set(store.file_bytes())

    def _prune(self, store: Store, now: int, saved_row: int, *, is_sure: bool) -> bool:
        if not is_sure:
            store.look_again()
        limit = (self._retention.max_bytes - LOG_ROOM) * _FULL
        is_full = store.used_bytes() > limit
        has_more = False
        for kind in KINDS:
            # Normal calls go first; failures only where none of those is left.
            is_any = is_full and not has_more
            if not (is_any or is_sure):
                continue
            before = _ANY_TIME if is_any else now - self._retention.keep[kind]
            step = store.prune(kind, before, now, saved_row)
            if step.rows:
                self._instruments.pruned(kind, step.rows, step.before)
            has_more |= step.has_more
            is_full = is_full and not step.rows
        return has_more

    def _watch_log(self, log_bytes: int, *, is_held: bool) -> None:
        self._instruments.wal_bytes.set(log_bytes)
        if not is_held:
            self._held_since = None
            self._instruments.wal_held.set(0)
            return
        self._held_since = self._held_since or time.monotonic()
        if time.monotonic() - self._held_since < _HELD_SECONDS:
            return
        self._instruments.wal_held.set(1)
        message = "the write-ahead log grows: a reader of the ledger stays, end it"
        if self._log.is_due(message):
            self._log.warning(message, bytes=log_bytes)
