"""Calls that wait for the next commit, and how long that waits for more of them.

A commit costs the server about as much as twenty rows do, whoever makes it: a few big ones cost it
far less than many small ones. The calls of one commit are likely to be followed by as many.
Where several replicas share the calls, each waits as many times longer, and takes as many times
more for enough: together they make about as many commits as one would.
"""

import asyncio
import time

from bandwidth_voice_exporter.voice import CallEnded

Waiting = tuple[CallEnded, asyncio.Future[bool]]

_ENOUGH = 32  # calls, with which a commit waits for no more, where a replica is the only one
_ALONE_SECONDS = 0.02  # for which it waits at most, where a replica is the only one
_MOST_SECONDS = 0.1


class Queue:
    """Calls in the order in which they came, each with what tells whether it was new."""

    def __init__(self) -> None:
        self._calls: list[Waiting] = []
        self._wake = asyncio.Event()
        self._committed = 0
        self._enough = _ENOUGH
        self._wanted = 1
        self._wait_until = 0.0
        self._is_ending = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._calls)

    def put(self, call: CallEnded, recorded: asyncio.Future[bool]) -> None:
        """Add one."""
        self._calls.append((call, recorded))
        if len(self._calls) >= self._wanted:
            self._wake.set()

    def take(self, most: int) -> list[Waiting]:
        """Take the first ones out: half of all senders' where that is enough.

        Then the exporter reads the other half's while the server writes.
        """
        half = (self._committed + len(self._calls) + 1) // 2
        most = min(most, max(half, self._enough))
        taken, self._calls = self._calls[:most], self._calls[most:]
        return taken

    def committed(self, calls: int, seconds: float, replicas: int) -> None:
        """Let the next commit wait for as many calls as were in this one, which took some seconds.

        The next commit begins as many times later as there are replicas. The calls that came
        meanwhile are not enough: with them alone, two halves would take turns for ever.
        """
        self._committed = calls
        self._enough = replicas * _ENOUGH
        self._wanted = min(calls + len(self._calls), self._enough)
        wait = replicas * (seconds + _ALONE_SECONDS) - seconds
        self._wait_until = time.monotonic() + min(wait, _MOST_SECONDS)

    def end(self) -> None:
        """Let no commit wait from now on."""
        self._is_ending = True
        self._wake.set()

    async def wait(self, until: float) -> bool:
        """Wait for calls that are worth a commit, or until a time by the monotonic clock.

        Return whether they are worth one; otherwise they wait on.
        """
        if len(self._calls) < self._wanted and not self._is_ending:
            until = min(until, self._wait_until) if self._wanted > 1 else until
            delay = max(0.0, until - time.monotonic())
            timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
            self._wake.clear()
            await self._wake.wait()
            timer.cancel()
        if self._is_ending or time.monotonic() >= self._wait_until:
            self._wanted = 1
        is_due = len(self._calls) >= self._wanted
        if is_due:
            self._wanted = 1
        return is_due
