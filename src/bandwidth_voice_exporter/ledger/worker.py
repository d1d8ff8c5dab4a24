"""A thread beside the event loop, for work that waits for a disk."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_Result = TypeVar("_Result")


class Worker:
    """Does one work after the other in a thread of its own, which ends with the process at last.

    An executor's takes twice the processor time for it: it has a second future and locks for each.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._works: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Have work done behind that which waits; whatever it raises is raised to the caller."""
        done: asyncio.Future[_Result] = self._loop.create_future()
        self._works.put(partial(self._do, work, done))
        return done

    def end(self) -> None:
        """Wait until all work is done, and end."""
        self._works.put(None)
        self._thread.join()

    def _run(self) -> None:
        while work := self._works.get():
            work()

    def _do(self, work: Callable[[], _Result], done: asyncio.Future[_Result]) -> None:
        try:
            tell = partial(_succeed, done, work())
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            tell = partial(_fail, done, error)
        with contextlib.suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(tell)


def _succeed(done: asyncio.Future[_Result], result: _Result) -> None:
    if not done.done():  # cancelled
        done.set_result(result)


def _fail(done: asyncio.Future[_Result], error: BaseException) -> None:
    if not done.done():  # cancelled
        done.set_exception(error)
