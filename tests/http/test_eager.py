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
    """What awaits nothing has run to its end at once."""
    seen = []

    async def quick() -> None:
        seen.append(1)

    assert eagerly(quick()) == set()
    assert seen == [1]


def test_eager_waits() -> None:
    """What awaits futures is found while it waits, gets their results, and is gone at its end."""

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
