"""Work on the shared ledger between commits, a bounded step at a time."""

import time
from typing import TYPE_CHECKING

from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.share import ReplicaShare
from bandwidth_voice_exporter.metrics import KINDS, Kind, LedgerInstruments
from bandwidth_voice_exporter.voice import SECOND, Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandwidth_voice_exporter.ledger.pruning import Mark
    from bandwidth_voice_exporter.ledger.replica import Replica

_CHECKPOINT_ROWS = 10_000
_CHECKPOINT_SECONDS = 10.0
_BEAT_SECONDS = 2.0  # a fifth of the lease
_SIZE_SECONDS = 30.0
_PRUNE_SECONDS = 5.0
_SURE_SECONDS = 3600  # for which the clock must not have been set to say how old a call is


class Keeper:
    """Gives signs of life, saves the share, prunes, and measures; ``keep`` is in microseconds."""

    def __init__(self, keep: dict[Kind, int], clock: Clock, instruments: LedgerInstruments) -> None:
        self.replicas: Sequence[Replica] = ()
        self._keep = keep
        self._clock = clock
        self._instruments = instruments
        self._marks: dict[Kind, dict[int, Mark]] = {kind: {} for kind in KINDS}
        self._beat_at = self._size_at = self._prune_at = 0.0
        self._saved_at = time.monotonic()

    def living(self) -> int:
        """Return how many share the calls, this one among them."""
        return max(1, sum(one.lives for one in self.replicas))

    async def look(self, session: Session, share: ReplicaShare) -> bool:
        """Do the work that is due; return whether there is more to do. Raises StoreError."""
        now = time.monotonic()
        if now >= self._beat_at:
            self.replicas = await session.beat()
            self._beat_at = now + _BEAT_SECONDS
        behind = share.last_row - share.saved_row
        is_late = now - self._saved_at >= _CHECKPOINT_SECONDS
        if behind >= _CHECKPOINT_ROWS or (behind > 0 and is_late):
            await share.save(session)
            self._saved_at = now
        if now >= self._size_at:
            number, size = await session.size()
            self._instruments.rows.set(number)
            self._instruments.bytes.set(size)
            self._size_at = now + _SIZE_SECONDS
        if now < self._prune_at:
            return False
        self._prune_at = now + _PRUNE_SECONDS
        has_more = await self._prune(session)
        if has_more:
            self._prune_at = now
        return has_more

    async def _prune(self, session: Session) -> bool:
        if self._clock.held() < _SURE_SECONDS * SECOND:
            for marks in self._marks.values():  # by another clock others are from the future
                marks.clear()
            return False
        has_more = False
        now = self._clock()
        for kind in KINDS:
            before = now - self._keep[kind]
            pruned = await session.prune(kind, before, now, self._marks[kind])
            if pruned.rows:
                self._instruments.pruned(kind, pruned.rows, pruned.before)
            has_more |= pruned.has_more
        return has_more
