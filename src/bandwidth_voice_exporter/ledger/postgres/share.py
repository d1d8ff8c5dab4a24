"""A replica's share: the calls that it counts, and where it stands in the shared ledger."""

from collections.abc import Sequence

from bandwidth_voice_exporter.ledger.counting import Counting
from bandwidth_voice_exporter.ledger.postgres import rows
from bandwidth_voice_exporter.ledger.postgres.labels import SharedLabels
from bandwidth_voice_exporter.ledger.postgres.saved import SharedSaved
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.spool import Entry, Spool
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.voice import CallEnded


class ReplicaShare:
    """The part of a replica's calls that is counted, and how far that is saved.

    Rows up to ``base`` are in its totals for sure: a leg among them that is counted from the spool
    is counted twice. Of a later one the answer was lost when the database went away, or it was
    written from the spool.
    """

    def __init__(self, counting: Counting, spool: Spool) -> None:
        self.counting = counting
        self._labels = SharedLabels(counting)
        self._spool = spool
        self.last_row = 0
        self.saved_row = 0
        self.base = 0
        self.counted_twice = 0
        self.is_loaded = False
        self._settled: set[int] = set()  # rows of calls from the spool

    async def load(self, session: Session) -> None:
        """Go on from the saved totals and the rows since. Raises StoreError, DamagedError."""
        saved, admitted = await session.load()
        if saved.spool == self._spool.identity:
            self._spool.merged = max(self._spool.merged, saved.spooled)
            self._spool.forget()
        self.counting.resume(saved.state, ())
        self.counting.let_in(admitted)
        self.last_row = self.saved_row = saved.last_row
        self.counted_twice = saved.counted_twice
        async for row, call in session.since(saved.last_row):
            self.fold(call)
            self.last_row = row
        self.base = self.last_row

    def number(self, calls: Sequence[CallEnded]) -> list[Numbered]:
        """Give calls the next rows: whatever comes of them, these are not given again."""
        first = self.last_row + 1
        self.last_row += len(calls)
        return list(enumerate(calls, first))

    async def let_in(self, session: Session, calls: Sequence[CallEnded], row: int) -> None:
        """Have the new label values of some calls let in that come after a row. Raises StoreError.

        Their births are saved with the totals up to that row, or the next start's would be others.
        """
        if await self._labels.let_in(session, calls):
            await self._save(session, row)

    def fold(self, call: CallEnded) -> None:
        """Count a call."""
        self.counting.fold(rows.without_made_up(call))

    async def merge(self, session: Session, entries: Sequence[Entry]) -> None:
        """Move entries of the spool into the ledger. Raises StoreError, and may then be repeated.

        Until the share is loaded none of them is in the totals; then, all are.
        """
        calls = [entry.call for entry in entries]
        # An earlier process gave numbers also to calls that were not new: they are not given again.
        self.last_row = max(self.last_row, *(entry.base for entry in entries))
        numbered = self.number(calls)
        mine = await session.insert(numbered)
        others = [call for row, call in numbered if row not in mine]
        there = await session.find(others) if others else {}
        if not self.is_loaded:
            await self._labels.let_in(session, calls)
        for entry, (row, call) in zip(entries, numbered, strict=True):
            is_new = row in mine
            found = row if is_new else there[call.call_id or "", call.event_type]
            self._settle(entry, session.replica, found)
        self._spool.merge(entries)

    def _settle(self, entry: Entry, replica: int, row: int) -> None:
        """Count an entry whose leg has a row, as often as an earlier process has shown it."""
        is_mine = rows.replica_of(row) == replica and row > entry.base
        is_first = is_mine and row not in self._settled
        if is_first:
            self._settled.add(row)
        is_twice = entry.is_counted and not is_first
        is_written = is_first and row > self.base
        if not self.is_loaded and (is_written or is_twice):
            self.fold(entry.call)
        self.counted_twice += is_twice

    async def save(self, session: Session) -> None:
        """Keep the totals as they are now. Raises StoreError."""
        await self._labels.share(session)
        await self._save(session, self.last_row)
        self._settled.clear()

    async def _save(self, session: Session, row: int) -> None:
        state = self.counting.encode()
        spool = self._spool
        await session.save(
            SharedSaved(row, state, self.counted_twice, spool.identity, spool.merged)
        )
        self.saved_row = row
