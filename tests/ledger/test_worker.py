"""Work beside the event loop: in its order, with its result, whatever becomes of who waits."""

import asyncio
import threading
from functools import partial

import pytest

from bandwidth_voice_exporter.ledger.worker import Worker


def test_work_is_done_in_its_order() -> None:
    """Work is done one after the other, in a thread of its own, and gives its results."""

    async def conversation() -> list[tuple[int, str]]:
        worker = Worker("worker")
        seen: list[int] = []

        def work(number: int) -> tuple[int, str]:
            seen.append(number)
            return len(seen), threading.current_thread().name

        done = [worker.do(partial(work, number)) for number in range(3)]
        results = await asyncio.gather(*done)
        worker.end()
        assert seen == [0, 1, 2]
        return results

    assert asyncio.run(conversation()) == [(1, "worker"), (2, "worker"), (3, "worker")]


def test_work_that_fails_does_so_to_its_caller() -> None:
    """An exception of a task is raised where the task is awaited, and the next task is done."""

    async def conversation() -> str:
        worker = Worker("worker")
        failing = worker.do(lambda: 1 // 0)
        after = worker.do(lambda: "done")
        with pytest.raises(ZeroDivisionError):
            await failing
        try:
            return await after
        finally:
            worker.end()

    assert asyncio.run(conversation()) == "done"


@pytest.mark.parametrize("fails", [False, True])
def test_work_that_nobody_waits_for_is_done(*, fails: bool) -> None:
    """Work whose caller is cancelled is done all the same, and disturbs nobody."""

    async def conversation() -> tuple[str, list[object]]:
        worker = Worker("worker")
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        may_go_on = threading.Event()

        def work() -> None:
            may_go_on.wait(60)
            if fails:
                raise OSError("no disk")

        left = worker.do(work)
        left.cancel()
        after = worker.do(lambda: "done")
        may_go_on.set()
        result = await after
        worker.end()
        return result, complaints

    assert asyncio.run(conversation()) == ("done", [])


def test_work_outlives_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that the event loop does not wait for ends in silence, and the thread after it."""
    complaints: list[object] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    may_go_on = threading.Event()
    done: list[int] = []

    async def begin() -> Worker:
        worker = Worker("worker")
        worker.do(lambda: may_go_on.wait(60))
        worker.do(lambda: done.append(1))
        return worker

    worker = asyncio.run(begin())
    may_go_on.set()
    worker.end()

    assert (done, complaints) == ([1], [])
