"""The hosts that a ledger's URL names, and the addresses of each: the first that will do wins."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.settings import database_hosts

# Until the next one is tried beside one that does not answer: it may be gone with its machine.
_PAUSE = 0.5

# Given the driver's parameters of a place: host, port and loop.
Connect = Callable[..., Coroutine[Any, Any, PostgresConnection]]
_Attempt = Callable[[], Coroutine[Any, Any, PostgresConnection]]


class NoHostError(Exception):
    """None of the hosts would do; ``failures`` has the error of each, by its name."""

    def __init__(self, failures: Sequence[tuple[str, Exception]]) -> None:
        super().__init__("; ".join(f"{host}: {error}" for host, error in failures))
        self.failures = failures


async def first(url: str, connect: Connect, seconds: float) -> PostgresConnection:
    """Return the first connection that is made, in the order of the URL; the others are closed.

    Raises NoHostError after some seconds at the latest.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    attempts: list[tuple[str, _Attempt]] = []
    for host, port in database_hosts(url):
        if host.startswith("/"):
            attempts.append((host, partial(connect, host=host, port=port)))
        else:
            name = f"{host}:{port}" if port else host
            attempts.append((name, partial(_at_any_address, host, port, name, connect, deadline)))
    # Without a host the driver knows where to look.
    return await _first(attempts or [("the local server", connect)], deadline)


async def _at_any_address(
    host: str, port: int | None, name: str, connect: Connect, deadline: float
) -> PostgresConnection:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    attempts = [
        (
            name if address == host else f"{name} ({address})",
            partial(connect, host=host, port=port, loop=_LoopTo(loop, address)),
        )
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
    ]
    return await _first(attempts, deadline)


async def _first(attempts: Sequence[tuple[str, _Attempt]], deadline: float) -> PostgresConnection:
    """Begin the next attempt once those before have failed, or a while have had no answer."""
    loop = asyncio.get_running_loop()
    # Each one has at least half of the time.
    pause = min(_PAUSE, (deadline - loop.time()) / 2 / len(attempts))
    tasks: list[asyncio.Task[PostgresConnection]] = []
    won: asyncio.Task[PostgresConnection] | None = None
    try:
        for number, (name, attempt) in enumerate(attempts, 1):
            tasks.append(asyncio.create_task(_named(name, attempt)))
            until = deadline if number == len(attempts) else loop.time() + pause
            if won := await _won(tasks, until):
                return won.result()
        names = [name for name, _ in attempts]
        raise NoHostError(
            [one for name, task in zip(names, tasks, strict=True) for one in _failures(name, task)]
        )
    finally:
        if others := [task for task in tasks if task is not won]:
            for task in others:
                task.cancel()
                task.add_done_callback(_break_off)
            await asyncio.wait(others)


async def _won(
    tasks: Sequence[asyncio.Task[PostgresConnection]], until: float
) -> asyncio.Task[PostgresConnection] | None:
    """Return the first that succeeds; None once all have failed, or at a time of the loop's."""
    loop = asyncio.get_running_loop()
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(
            waiting,
            timeout=max(0.0, until - loop.time()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            if task.exception() is None:
                return task
        if not done:
            return None
    return None


async def _named(name: str, attempt: _Attempt) -> PostgresConnection:
    """Return an attempt's connection. Raises NoHostError, with its name unless it has names."""
    try:
        return await attempt()
    except NoHostError:
        raise
    except Exception as error:
        raise NoHostError([(name, error)]) from error


def _failures(name: str, task: asyncio.Task[PostgresConnection]) -> Sequence[tuple[str, Exception]]:
    error = task.exception() if task.done() else None
    return error.failures if isinstance(error, NoHostError) else [(name, TimeoutError())]


def _break_off(task: asyncio.Task[PostgresConnection]) -> None:
    """Close a connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


class _LoopTo:
    """An event loop that connects to one address of a host, which TLS still knows by its name.

    The driver would wait for the host's first address for as long as the network lets it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._address = address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:  # asyncio.current_task looks for it in a dict
        return self._loop == other

    def __hash__(self) -> int:
        return hash(self._loop)

    async def create_connection(
        self, protocol: Callable[[], Any], host: str, port: int, *, ssl: Any = None
    ) -> tuple[Any, Any]:
        """Connect, as the loop does."""
        return await self._loop.create_connection(
            protocol, self._address, port, ssl=ssl, server_hostname=host if ssl else None
        )
