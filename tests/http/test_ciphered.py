"""TLS of a connection: handshakes in turns, counted from their beginning, and half-closed ends."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Terms, sender_of
from bandwidth_voice_exporter.http.ciphered import Ciphered
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.room import Room
from testkit.certificates import HOST, Authority

KIB = 1024
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everybody, once the body is there."""
    await receive()
    sender_of(scope).trust()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Socket(asyncio.Transport):
    """The transport below TLS, without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_over = False
        self.is_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what goes to the client."""
        self.written += data

    def pause_reading(self) -> None:
        """Take note of it."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Take note of it."""
        self.is_paused = False

    def is_closing(self) -> bool:
        """Whether it is over."""
        return self.is_over

    def close(self) -> None:
        """Take note of the end."""
        self.is_over = True

    def abort(self) -> None:
        """Take note of the end."""
        self.is_over = True


class Client:
    """One that speaks TLS with a connection of a room."""

    def __init__(self, room: Room, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        """Connect, and say nothing yet."""
        mine, theirs = contexts
        self.socket = Socket()
        self.side = Ciphered(Connection(room), mine, room)
        self.side.connection_made(self.socket)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = theirs.wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done."""
        self.incoming.write(self.socket.written)
        self.socket.written = b""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.send()
            return False
        self.send()
        return True

    def send(self) -> None:
        """Let what was written arrive, in parts as large as they are read."""
        while self.outgoing.pending:
            buffer = self.side.get_buffer(-1)
            part = self.outgoing.read(len(buffer))
            buffer[: len(part)] = part
            self.side.buffer_updated(len(part))

    def read(self) -> bytes:
        """Return the bytes that have come so far, deciphered."""
        self.incoming.write(self.socket.written)
        self.socket.written = b""
        try:
            return self.tls.read()
        except ssl.SSLWantReadError:
            return b""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority = Authority()
    return authority.serving(Path(tmp_path_factory.mktemp("pair"))), authority.trusting()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The kind of event loop that the exporter has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.get_loop()


def room_of(rejected: list[str], held_bytes: int = 64 * KIB * KIB) -> Room:
    """A room for a hundred connections."""
    terms = Terms(
        max_connections=100,
        grace=1,
        reject=lambda reason, _: rejected.append(reason),
        held_bytes=held_bytes,
    )
    return Room(answering, terms, ServerState())


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop go on until something is so."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)


def test_a_handshake_waits_for_its_turn(
    loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """While strangers have had their time, a handshake is not begun, and no more is read."""

    async def conversation() -> None:
        room = room_of([])
        client = Client(room, contexts)
        room.turns.charge(1.0)
        assert not client.shake_hands()
        assert client.socket.written == b""
        assert client.socket.is_paused
        await until(lambda: client.socket.written)
        assert not client.socket.is_paused

    loop.run_until_complete(conversation())


def test_a_handshake_is_charged(
    loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A few handshakes at once are as much as strangers have: the others wait."""

    async def conversation() -> int:
        room = room_of([])
        clients = [Client(room, contexts) for _ in range(60)]
        room.turns.charge(-1.0)  # that connecting took
        for client in clients:
            client.shake_hands()
        return sum(bool(client.socket.written) for client in clients)

    assert 1 <= loop.run_until_complete(conversation()) < 40


def test_handshakes_that_hang_are_held(
    loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Clients that begin a handshake and never end it are closed where they hold too much."""

    async def conversation() -> tuple[list[str], int]:
        rejected: list[str] = []
        room = room_of(rejected, held_bytes=10 * 60 * KIB)
        clients = [Client(room, contexts) for _ in range(30)]
        for client in clients:
            client.shake_hands()
            await until(lambda one=client: one.socket.written or one.socket.is_over)  # type: ignore[misc]
        return rejected, sum(not client.socket.is_over for client in clients)

    rejected, left = loop.run_until_complete(conversation())
    assert set(rejected) == {"overload"}
    assert 5 <= left <= 10


def test_a_half_closed_client_is_answered(
    loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A client that says over TLS that it sends no more gets the answer, and then the end."""

    async def conversation() -> tuple[bytes, bool]:
        client = Client(room_of([]), contexts)
        while not client.shake_hands():
            await until(lambda: client.socket.written)
        client.tls.write(REQUEST)
        with pytest.raises(ssl.SSLWantReadError):  # until the other side agrees
            client.tls.unwrap()
        client.send()
        await until(lambda: client.socket.is_over)
        return client.read(), client.socket.is_over

    answer, is_over = loop.run_until_complete(conversation())
    assert answer.startswith(b"HTTP/1.1 204")
    assert is_over


def test_a_request_in_pieces(
    loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A request whose bytes come in records and segments of their own is answered."""

    async def conversation() -> bytes:
        client = Client(room_of([]), contexts)
        while not client.shake_hands():
            await until(lambda: client.socket.written)
        client.read()
        for at in range(0, len(REQUEST), 7):
            client.tls.write(REQUEST[at : at + 7])
            record = client.outgoing.read()
            for byte in record:
                await until(lambda: not client.socket.is_paused)
                client.side.get_buffer(-1)[0] = byte
                client.side.buffer_updated(1)
        await until(lambda: client.socket.written)
        return client.read()

    assert loop.run_until_complete(conversation()).startswith(b"HTTP/1.1 204")
