"""Coroutines without tasks."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Eager:
    """A coroutine that runs at once, and goes on as soon as the future it awaits is done.

    It does without a task, and so without what one costs: about 4 of the 28 µs that a connection
    takes for a request. It may await futures and ``asyncio.sleep(0)``; what asks for the current
    task (``asyncio.timeout``, a task group) is told that there is none.
    """

    __slots__ = ("_awaited", "_cancelled", "_coroutine", "_running")

    def __init__(self, coroutine: Coroutine[Any, None, None], running: set["Eager"]) -> None:
        self._coroutine = coroutine
        self._running = running  # where it is to be found while it waits
        self._awaited: Any = None
        self._cancelled: asyncio.CancelledError | None = None

    def run(self, done: object = None) -> None:
        """Run until it waits or is at its end."""
        del done
        try:
            if self._cancelled:
                cancelled, self._cancelled = self._cancelled, None
                awaited = self._coroutine.throw(cancelled)
            else:
                awaited = self._coroutine.send(None)
        except StopIteration:
            self._running.discard(self)
            return
        self._running.add(self)
        try:
            awaited._asyncio_future_blocking = False  # noqa: SLF001  # "taken": how a future knows its task
            awaited.add_done_callback(self.run)
        except AttributeError:  # a turn of the event loop, or what no task could wait for either
            asyncio.get_running_loop().call_soon(self.run)
            awaited = None
        self._awaited = awaited

    def cancel(self, msg: str | None = None) -> None:
        """Cancel the future that it waits for."""
        if self._awaited is None:
            self._cancelled = asyncio.CancelledError(msg)
        else:
            self._awaited.cancel(msg)
