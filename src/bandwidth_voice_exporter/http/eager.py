"""Coroutines without tasks."""

from collections.abc import Coroutine
from typing import Any


class Eager:
    """A coroutine that runs at once, and on as soon as what it awaits is done.

    It does without a task and what a task costs, so it may await nothing but futures.
    """

    __slots__ = ("_awaited", "_coroutine", "_running")

    def __init__(self, coroutine: Coroutine[Any, None, None], running: set["Eager"]) -> None:
        self._coroutine = coroutine
        self._running = running  # where it is to be found while it waits
        self._awaited: Any = None

    def run(self, done: object = None) -> None:
        """Run until it waits or is at its end."""
        del done
        try:
            self._awaited = awaited = self._coroutine.send(None)
        except StopIteration:
            self._running.discard(self)
            return
        self._running.add(self)
        awaited._asyncio_future_blocking = False  # noqa: SLF001  # "taken": how a future knows its task
        awaited.add_done_callback(self.run)

    def cancel(self, msg: str | None = None) -> None:
        """Cancel what it waits for."""
        self._awaited.cancel(msg)
