"""Turns at being read, for clients that have not shown right credentials."""

import asyncio
from collections import deque
from enum import IntEnum
from typing import Protocol

# Seconds of the event loop at once, and the pause before more: meanwhile other clients are read,
# and the thread that writes the ledger runs.
_BUDGET = 0.002
_PAUSE = 0.001
_MOST_DEBT = 0.02  # seconds that were spent beyond the budget, for which the next ones wait


class Rank(IntEnum):
    """The order among clients that wait."""

    KNOWN = 0  # comes from where right credentials have come from, or has just been let in
    NEW = 1
    COSTLY = 2  # has had what nearly all events take


class Waiting(Protocol):
    """A client that waits for a turn."""

    def take_turn(self) -> None:
        """Be read once more."""


class Turns:
    """Gives turns one after the other, for so long at once, and then leaves time for others.

    Of each rank one has a turn whenever any has, and the rest goes by rank. A client that comes
    back for more waits behind those of its rank that wait already.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queues: tuple[deque[Waiting], ...] = tuple(deque() for _ in Rank)
        self._spent = 0.0
        self._since = 0.0  # by the loop's clock: when what is spent began
        self._timer: asyncio.TimerHandle | None = None

    def charge(self, seconds: float) -> None:
        """Take note of processor time that was spent on strangers; or was not, where below 0."""
        self._begin_anew()
        self._spent = min(max(0.0, self._spent + seconds), _BUDGET + _MOST_DEBT)
        if self._is_spent:
            self._schedule()

    def must_wait(self, rank: Rank) -> bool:
        """Whether one of a rank cannot be read at once: others go first, or too much was spent."""
        first = self._queues if rank is Rank.COSTLY else self._queues[:rank]
        return self._is_spent or any(first)

    @property
    def _is_spent(self) -> bool:
        return self._spent >= _BUDGET

    def wait(self, one: Waiting, rank: Rank) -> None:
        """Give it a turn soon."""
        self._queues[rank].append(one)
        self._begin_anew()
        self._schedule()

    def close(self) -> None:
        """Give no turn any more."""
        for queue in self._queues:
            queue.clear()
        if self._timer:
            self._timer.cancel()

    def _begin_anew(self) -> None:
        """Have the whole budget after a pause, without a timer that would wake the event loop."""
        now = self._loop.time()
        if self._timer is None and now - self._since >= _PAUSE + self._spent:
            self._spent, self._since = 0.0, now

    def _schedule(self) -> None:
        if self._timer is None:
            # A budget that is not touched yet is there at once.
            self._timer = self._loop.call_later(_PAUSE if self._spent else 0.0, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._spent, self._since = max(0.0, self._spent - _BUDGET), self._loop.time()
        if not self._is_spent:
            self._give()
        if self._is_spent or any(self._queues):
            self._schedule()

    def _give(self) -> None:
        for queue in self._queues:
            if queue:
                queue.popleft().take_turn()
        for queue in self._queues:
            for _ in range(len(queue)):  # not those that come back meanwhile
                if self._is_spent:
                    return
                queue.popleft().take_turn()
