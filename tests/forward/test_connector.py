"""Requests for a handler that cannot be reached: they wait in line, and do not all try."""

import asyncio
import ssl
from pathlib import Path

import aiohttp

from bandwidth_voice_exporter.forward.connector import Connector
from testkit import handlers, waiting
from testkit.certificates import Authority
from testkit.handler import Handler

MANY = 60


class Tries:
    """How many have failed."""

    def __init__(self) -> None:
        """None yet."""
        self.failed = 0

    def __call__(self) -> None:
        """Count one."""
        self.failed += 1

    async def reach(self, number: int) -> None:
        """Wait for so many."""
        await asyncio.to_thread(waiting.until, lambda: self.failed >= number, f"{number} tries")


def test_one_tries_for_all() -> None:
    """While a handler is away its requests wait for one that tries, then all of them arrive."""

    async def ask_all(handler: Handler) -> tuple[int, int]:
        tries = Tries()
        async with aiohttp.ClientSession(connector=Connector(MANY, tries)) as session:
            asking = [asyncio.create_task(session.get(f"{handler.url}/200"))]
            await tries.reach(1)
            asking += [asyncio.create_task(session.get(f"{handler.url}/200")) for _ in range(MANY)]
            await tries.reach(3)
            await asyncio.to_thread(handler.start)
            answers = await asyncio.gather(*asking)
            return tries.failed, sum(answer.status == 200 for answer in answers)

    with Handler(handlers.application) as handler:
        handler.kill()
        failed, answered = asyncio.run(ask_all(handler))
    assert answered == MANY + 1
    assert failed < MANY


def test_a_distrusted_handler_is_left_alone(tmp_path: Path) -> None:
    """Where a certificate was wrong, the requests of the next second fail without a handshake."""

    async def ask_all(url: str) -> tuple[int, int]:
        tries = Tries()
        trust = ssl.create_default_context()
        async with aiohttp.ClientSession(connector=Connector(MANY, tries)) as session:
            failures = [await _failure(session.get(url, ssl=trust)) for _ in range(MANY)]
            return tries.failed, sum(isinstance(one, aiohttp.ClientSSLError) for one in failures)

    with Handler(handlers.application, tls=Authority().serving(tmp_path)) as handler:
        handshakes, refused = asyncio.run(ask_all(f"{handler.url}/200"))
    assert refused == MANY
    assert handshakes < MANY


async def _failure(request: "aiohttp.client._RequestContextManager") -> Exception | None:
    try:
        async with request:
            return None
    except aiohttp.ClientError as error:
        return error
