"""Turns at being read, for those who have not shown who they are."""

import asyncio
from collections import deque
from typing import Protocol

# Of the time of the event loop, so that there is always some for others.
_SHARE = 0.25
_PAUSE = 0.001  # seconds between two turns at least: what has come for others is read meanwhile
_LONGEST_WAIT = 0.1  # seconds for which what was taken before keeps the next one waiting


class Waiting(Protocol):
    """Who waits for a turn."""

    def take_turn(self) -> None:
        """Be read once more."""


class Turns:
    """Gives turns one after the other, and no more often than what they cost allows.

    Who comes back for more waits behind those who wait already; who comes back on a new connection
    has used up the share of all that wait.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def charge(self, seconds: float) -> None:
        """Take note of processor time that was spent on strangers; or was not, where below 0."""
        now = self._loop.time()
        self._next_at = min(max(self._next_at, now) + seconds / _SHARE, now + _LONGEST_WAIT)

    @property
    def is_behind(self) -> bool:
        """Whether so much was spent that even a stranger's first bytes have to wait."""
        return self.delay() > _LONGEST_WAIT / 2

    def delay(self) -> float:
        """Return for how many seconds there is no time for another stranger."""
        return max(0.0, self._next_at - self._loop.time())

    def wait(self, one: Waiting) -> None:
        """Give it a turn later."""
        self._queue.append(one)
        self._schedule()

    def close(self) -> None:
        """Give no turn any more."""
        self._queue.clear()
        if self._timer:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._timer is None and self._queue:
            when = max(self._loop.time() + _PAUSE, self._next_at)
            self._timer = self._loop.call_at(when, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._queue.popleft().take_turn()
        self._schedule()
