"""How long a commit to a shared ledger waits for more calls."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from bandwidth_voice_exporter.ledger.postgres import queue
from testkit.ended import ended

FOREVER = 3600.0  # seconds: no test lasts as long


def put(waiting: queue.Queue, calls: int) -> None:
    """Add some."""
    for _ in range(calls):
        waiting.put(ended(), asyncio.get_running_loop().create_future())


async def needed(waiting: queue.Queue) -> int:
    """Add calls one by one; return with how many the wait for a commit is over."""
    wait = asyncio.ensure_future(waiting.wait(time.monotonic() + FOREVER))
    for calls in range(1, 100):
        put(waiting, 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if wait.done():
            return calls
    raise AssertionError("it waits whatever comes")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits for calls as long as these tests may take."""
    monkeypatch.setattr(queue, "_ALONE_SECONDS", FOREVER)
    monkeypatch.setattr(queue, "_MOST_SECONDS", FOREVER)


@pytest.mark.usefixtures("patient")
def test_a_commit_waits_for_as_many_as_the_last_one_had() -> None:
    """The first one waits for nothing, the next for as many, or for enough where they were more.

    Enough are as many times more as there are replicas.
    """

    async def check() -> None:
        waiting = queue.Queue()
        assert await needed(waiting) == 1
        assert len(waiting.take(1000)) == 1
        for calls, replicas, wanted in ((1, 1, 1), (5, 1, 5), (5, 3, 5), (99, 1, 32), (99, 3, 96)):
            waiting.committed(calls, seconds=0.0, replicas=replicas)
            assert await needed(waiting) == wanted
            waiting.take(1000)

    asyncio.run(check())


@pytest.mark.usefixtures("patient")
def test_calls_that_came_during_a_commit_do_not_stand_for_those_in_it() -> None:
    """Two halves of the senders do not take turns: the commit waits for both."""

    async def check() -> None:
        waiting = queue.Queue()
        put(waiting, 7)
        waiting.committed(8, seconds=0.0, replicas=1)
        assert await needed(waiting) == 8
        assert len(waiting.take(1000)) == 15

    asyncio.run(check())


def test_a_commit_does_not_wait_for_calls_that_do_not_come() -> None:
    """Its time is over soon, and the one after it waits for nothing again."""

    async def check() -> None:
        waiting = queue.Queue()
        waiting.committed(20, seconds=0.0, replicas=1)
        put(waiting, 2)
        await waiting.wait(time.monotonic() + FOREVER)
        assert len(waiting.take(1000)) == 2
        assert await needed(waiting) == 1

    asyncio.run(check())


@pytest.mark.parametrize(("replicas", "seconds"), [(1, 2.0), (3, 7.0), (2000, 10.0)])
def test_a_commit_waits_the_longer_the_more_replicas_share_the_calls(
    monkeypatch: pytest.MonkeyPatch, replicas: int, seconds: float
) -> None:
    """So together they make as many commits as one would; but none waits for ever."""
    time_now = 100.0
    monkeypatch.setattr(queue, "_ALONE_SECONDS", 2.0)
    monkeypatch.setattr(queue, "_MOST_SECONDS", 10.0)
    monkeypatch.setattr(queue, "time", SimpleNamespace(monotonic=lambda: time_now))

    async def check() -> None:
        nonlocal time_now
        waiting = queue.Queue()
        waiting.committed(5, 0.5, replicas)
        put(waiting, 4)
        for passed, is_due in ((seconds - 0.01, False), (seconds, True)):
            time_now = 100.0 + passed
            assert await waiting.wait(time_now) == is_due

    asyncio.run(check())


@pytest.mark.usefixtures("patient")
def test_calls_wait_on_where_something_else_is_due() -> None:
    """They are not committed before their time, and none of their wait is lost."""

    async def check() -> None:
        waiting = queue.Queue()
        waiting.committed(5, seconds=0.0, replicas=1)
        put(waiting, 3)
        assert not await waiting.wait(time.monotonic())
        assert await needed(waiting) == 2

    asyncio.run(check())


def test_a_commit_leaves_half_of_many_senders_to_the_next() -> None:
    """The exporter reads the others' calls meanwhile; a few go together."""

    async def check() -> None:
        waiting = queue.Queue()
        put(waiting, 300)
        waiting.committed(100, seconds=0.0, replicas=1)
        assert len(waiting.take(1000)) == 200
        assert len(waiting.take(30)) == 30
        waiting.committed(0, seconds=0.0, replicas=1)
        assert len(waiting.take(1000)) == 35
        assert len(waiting.take(1000)) == 32
        put(waiting, 197)
        waiting.committed(10, seconds=0.0, replicas=3)
        assert len(waiting.take(1000)) == 105
        assert len(waiting.take(1000)) == 95

    asyncio.run(check())
