"""Which calls have been counted: each leg once, however often it is delivered."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bandwidth_voice_exporter.event import CallEnded
from bandwidth_voice_exporter.recent import RECENT, Recent


class Ledger(Protocol):
    """Where a call leg is recorded before it is answered for."""

    async def record(self, call: CallEnded) -> bool:
        """Record and count a call leg; False where it has been counted before."""
        ...

    def is_up(self) -> bool:
        """Whether what is counted is recorded as it should be."""
        ...


class MemoryLedger:
    """A ledger that forgets with the process."""

    def __init__(self, fold: Callable[[CallEnded], object], cap: int = RECENT) -> None:
        self._fold = fold
        self._recent = Recent(cap)
        self._pending: list[tuple[CallEnded, asyncio.Future[bool]]] = []

    async def record(self, call: CallEnded) -> bool:
        """Count a call leg unless it is among the recent ones, together with all in flight."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        if not self._pending:
            loop.call_soon(self._count)
        self._pending.append((call, answer))
        return await answer

    def is_up(self) -> bool:
        """Memory does not fail."""
        return True

    def _count(self) -> None:
        pending, self._pending = self._pending, []
        for call, answer in pending:
            is_new = self._recent.add(call.event_type, call.call_id)
            if is_new:
                self._fold(call)
            if not answer.done():
                answer.set_result(is_new)
