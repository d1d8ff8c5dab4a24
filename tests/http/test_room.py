"""The room that the connections of a listener share, and the memory that TLS takes for each."""

import asyncio
import contextlib
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from bandwidth_voice_exporter.http import Terms, address_of, bound, listening, sender_of
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import Address
from testkit.certificates import Authority

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
KIB = 1024
MUCH = 1_000_000
TRUSTED = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: 0\r\n\r\n"

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[int], Awaitable[Client]]


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer who has credentials; leave others waiting."""
    del receive
    if any(name == b"authorization" for name, _ in scope["headers"]):
        sender_of(scope).trust()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await asyncio.get_running_loop().create_future()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def listener(
    rejected: list[str], tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None, **terms: int
) -> AsyncIterator[tuple[list[socket.socket], Connect]]:
    """A listener with two addresses; how to connect to one of them."""
    offered: dict[str, Any] = {"max_connections": 100, "grace": 1} | terms
    with bound([Address("127.0.0.1", 0)] * 2, "address") as sockets:
        ports = [address_of(sock).port for sock in sockets]
        mine, theirs = tls or (None, None)
        async with contextlib.AsyncExitStack() as stack:

            async def connect(which: int) -> Client:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", ports[which], ssl=theirs
                )
                stack.push_async_callback(_closed, writer)
                return reader, writer

            reject = Terms(reject=lambda reason, _: rejected.append(reason), **offered)
            await stack.enter_async_context(
                listening(answering, sockets, reject, Log(__name__), tls=mine)
            )
            yield sockets, connect


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the listener closes the connection; nothing if it resets it."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority = Authority()
    pair = authority.issue(Path(tmp_path_factory.mktemp("certificate")))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.cert_file, pair.key_file)
    return server, ssl.create_default_context(cadata=authority.pem.decode())


def test_addresses_share_what_is_held() -> None:
    """Of unfinished bodies that came to two addresses the oldest goes when all are too much."""

    async def conversation() -> tuple[list[str], bytes]:
        rejected: list[str] = []
        async with listener(rejected, held_bytes=100 * KIB) as (_, connect):
            first, writer = await connect(0)
            writer.write(HEAD + b"x" * 60 * KIB)
            while not rejected:  # one after the other, until it is too much
                _, writer = await connect(1)
                writer.write(HEAD + b"x" * 20 * KIB)
                await asyncio.sleep(0.001)
            seen = rejected.copy()
            return seen, await ended(first)

    rejected, answer = uvloop.run(asyncio.wait_for(conversation(), 60))
    assert set(rejected) == {"overload"}
    assert answer == b""


def test_addresses_share_connections() -> None:
    """Beyond the most connections that come to two addresses those of strangers are closed."""

    async def conversation() -> bytes:
        rejected: list[str] = []
        async with listener(rejected, max_connections=4) as (_, connect):
            first, _ = await connect(0)
            for _ in range(3):
                await connect(0)
            reader, writer = await connect(1)
            writer.write(TRUSTED)
            answer = await reader.readuntil(b"\r\n")
            assert await ended(first) == b""
            assert rejected == ["overload"]
            return answer

    assert uvloop.run(asyncio.wait_for(conversation(), 60)).startswith(b"HTTP/1.1 204")


def test_room_is_made_for_one_and_no_more(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Strangers beyond what may be held cost about as many others their place, not all of them."""
    room, beyond = 32, 4

    async def conversation() -> int:
        rejected: list[str] = []
        async with listener(rejected, contexts, held_bytes=room * 40 * KIB) as (_, connect):
            for _ in range(room + beyond):
                await connect(0)
        return len(rejected)

    # Each time a sixteenth is closed, which is two of them.
    assert 2 <= uvloop.run(asyncio.wait_for(conversation(), 60)) <= 3 * beyond


def test_tls_of_strangers_counts_as_held(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The memory that TLS takes counts as held for a silent stranger, but not for a sender."""

    async def conversation() -> bytes:
        rejected: list[str] = []
        async with listener(rejected, contexts, held_bytes=200 * KIB) as (_, connect):
            senders = []
            for number in range(6):
                reader, writer = await connect(number % 2)
                senders.append((reader, writer))
                writer.write(TRUSTED)
                await reader.readuntil(b"\r\n\r\n")
            assert rejected == []
            first, _ = await connect(0)
            while not rejected:
                await connect(1)
            assert await ended(first) == b""
            reader, writer = senders[0]
            writer.write(TRUSTED)
            return await reader.readuntil(b"\r\n")

    assert uvloop.run(asyncio.wait_for(conversation(), 60)).startswith(b"HTTP/1.1 204")


def pour(listening: socket.socket, context: ssl.SSLContext) -> int:
    """How much of a body a listener takes before it takes no more for half a second."""
    taken = 0
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * KIB)
        plain.connect(listening.getsockname())
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(HEAD)
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                while taken < MUCH:
                    taken += client.send(b"x" * 4096)
    return taken


def test_read_buffers_of_tls_are_small(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Of a body that nobody asks for little is read, whatever of it could be deciphered."""

    async def conversation() -> int:
        async with listener([], contexts) as (sockets, _):
            return await asyncio.to_thread(pour, sockets[0], contexts[1])

    assert uvloop.run(asyncio.wait_for(conversation(), 60)) < 512 * KIB


def test_nothing_is_left_of_a_tls_connection(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A connection that is over is let go of, and not only when somebody looks for garbage."""

    def are_left() -> bool:
        return any(type(one) is Connection for one in gc.get_objects())

    async def conversation() -> None:
        async with listener([], contexts) as (_, connect):
            gc.collect()
            assert not are_left()
            gc.disable()
            for _ in range(3):
                reader, writer = await connect(0)
                writer.write(TRUSTED)
                await reader.readuntil(b"\r\n\r\n")
                await _closed(writer)
            while are_left():  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)

    try:
        uvloop.run(asyncio.wait_for(conversation(), 30))
    finally:
        gc.enable()
