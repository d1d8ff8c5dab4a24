"""Coroutines that run without tasks."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from bandwidth_voice_exporter.http.eager import Eager


def eagerly(coroutine: Coroutine[Any, None, None]) -> set[Eager]:
    """Begin with a coroutine; return what waits."""
    running: set[Eager] = set()
    Eager(coroutine, running).run()
    return running


def test_eager_to_the_end() -> None:
    """A coroutine that awaits nothing runs to its end at once."""
    seen = []

    async def quick() -> None:
        seen.append(1)

    assert eagerly(quick()) == set()
    assert seen == [1]


def test_eager_waits() -> None:
    """A coroutine stays in the set while it awaits futures, gets their results, then leaves it."""

    async def conversation() -> list[int]:
        futures: list[asyncio.Future[int]] = [asyncio.Future(), asyncio.Future()]
        seen = []

        async def slow() -> None:
            seen.extend([await future for future in futures])

        running = eagerly(slow())
        for result, future in enumerate(futures):
            assert len(running) == 1
            future.set_result(result)
            await asyncio.sleep(0)
        assert running == set()
        return seen

    assert asyncio.run(conversation()) == [0, 1]


def test_eager_cancelled() -> None:
    """Cancelled, it sees that where it waits, as a task does."""

    async def conversation() -> list[str]:
        seen = []

        async def slow() -> None:
            try:
                await asyncio.Future()
            except asyncio.CancelledError as error:
                seen.append(str(error))

        running = eagerly(slow())
        for one in list(running):
            one.cancel(msg="it is late")
        await asyncio.sleep(0)
        assert running == set()
        return seen

    assert asyncio.run(conversation()) == ["it is late"]


def test_eager_lets_others_have_a_turn() -> None:
    """A bare ``sleep(0)`` waits for one turn of the event loop, and is found meanwhile."""

    async def conversation() -> list[int]:
        seen = []

        async def polite() -> None:
            for number in range(3):
                seen.append(number)
                await asyncio.sleep(0)

        running = eagerly(polite())
        for turn in range(3):
            assert (len(seen), len(running)) == (turn + 1, 1)
            await asyncio.sleep(0)
        assert running == set()
        return seen

    assert asyncio.run(conversation()) == [0, 1, 2]


def test_eager_cancelled_between_turns() -> None:
    """Cancelled while it waits for nothing but its turn, it sees that as well."""

    async def conversation() -> list[str]:
        seen = []

        async def polite() -> None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                seen.append(str(error))

        running = eagerly(polite())
        for one in list(running):
            one.cancel(msg="it is late")
        await asyncio.sleep(0)
        assert running == set()
        return seen

    assert asyncio.run(conversation()) == ["it is late"]
