"""Turns at being read, for those who have not shown who they are."""

import asyncio
import time
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

    def spend(self, since: float) -> float:
        """Take note of what was done for a stranger since a time of the performance counter.

        Returns how many seconds that were.
        """
        seconds = time.perf_counter() - since
        self.charge(seconds)
        return seconds

    def charge(self, seconds: float) -> None:
        """Take note of seconds that were spent on strangers; or were not, where below 0."""
        now = self._loop.time()
        self._next_at = min(max(self._next_at, now) + seconds / _SHARE, now + _LONGEST_WAIT)

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
