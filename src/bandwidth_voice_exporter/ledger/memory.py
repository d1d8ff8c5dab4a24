"""The calls that have been counted: each leg once, however often it is delivered."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from bandwidth_voice_exporter.ledger.alone import Alone
from bandwidth_voice_exporter.ledger.recent import RECENT, Recent
from bandwidth_voice_exporter.ledger.replica import Replica
from bandwidth_voice_exporter.metrics import Tally
from bandwidth_voice_exporter.voice import CallEnded


class Ledger(Protocol):
    """Records each call leg before its event is answered."""

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Record and count a call leg, then say so; False where it has been counted before."""
        ...

    def is_up(self) -> bool:
        """Whether counted calls are recorded as configured."""
        ...


class NotingLedger(Ledger, Protocol):
    """A ledger as a whole: its totals, and the notes that it keeps beside its calls."""

    def loaded(self) -> asyncio.Future[Tally]:
        """Return the totals, once the calls counted before are known."""
        ...

    def replicas(self) -> Sequence[Replica]:
        """Return all that share the ledger, as of a moment ago; none where it is not shared."""
        ...

    async def note(self, name: str) -> bytes | None:
        """Return the note under a name. Raises StoreError."""
        ...

    async def reserve_notes(self) -> bool:
        """Whether this exporter alone may put notes now; False where another one does.

        It may until its connection to the ledger is lost. Raises StoreError.
        """
        ...

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note in place of the one before. Raises StoreError, also where it may not."""
        ...


class MemoryLedger(Alone):
    """A ledger that forgets with the process."""

    def __init__(
        self, fold: Callable[[CallEnded], object], tally: Tally, cap: int = RECENT
    ) -> None:
        super().__init__(tally)
        self._fold = fold
        self._recent = Recent(cap)
        self._notes: dict[str, bytes] = {}

    def record(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Count a call leg unless it is among the recent ones."""
        is_new = self._recent.add(call.event_type, call.call_id)
        if is_new:
            self._fold(call)
        recorded.set_result(is_new)

    async def note(self, name: str) -> bytes | None:
        """Return the note under a name."""
        return self._notes.get(name)

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note in place of the one before."""
        self._notes[name] = note

    def is_up(self) -> bool:
        """Memory does not fail."""
        return True
