"""A full listener lets in clients from known addresses, and the others in order."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable

import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Terms, sender_of
from bandwidth_voice_exporter.http.admission import Admission
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.room import Room

ROOM, OVERFLOW = 4, 3
KNOWN, STRANGE, NEW, NEWER = (f"127.0.0.{number}" for number in (1, 2, 3, 4))
RIGHT = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)
ENDLESS = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"  # its connection is not closed for others


class House:
    """A listener with little room."""

    def __init__(self) -> None:
        """Open it."""
        terms = Terms(max_connections=ROOM, grace=1, reject=lambda *_: None, overflow=OVERFLOW)
        self.room = Room(self._answer, terms, ServerState())
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.admission = Admission(self.sock, lambda: Connection(self.room), self.room)
        self.room.admissions.append(self.admission)
        self.endless = 0  # requests that are being answered
        self.most = 0  # connections, those that wait included
        self._clients: list[asyncio.StreamWriter] = []
        self._address = self.sock.getsockname()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        self.most = max(self.most, len(self.room.state.connections) + self.admission.waiting)
        if any(name == b"authorization" for name, _ in scope["headers"]):
            sender_of(scope).trust()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            self.endless += 1
            await asyncio.get_running_loop().create_future()

    async def visit(self, host: str, request: bytes) -> "Client":
        """Connect from an address and send a request."""
        reader, writer = await asyncio.open_connection(*self._address, local_addr=(host, 0))
        # A client that closes its connection resets it, and waits for no answer.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._clients.append(writer)
        writer.write(request)
        return Client(reader, writer)

    async def fill(self) -> list["Client"]:
        """Take all the room by strangers that cannot be closed."""
        clients = [await self.visit(STRANGE, ENDLESS) for _ in range(ROOM)]
        await until(lambda: self.endless == ROOM)
        return clients

    async def close(self) -> None:
        """Close it, and all clients."""
        if self.sock.fileno() >= 0:
            self.admission.close()
        await self.admission.wait_closed()
        for writer in self._clients:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        for connection in list(self.room.connections):
            connection.hang_up()
        for task in list(self.room.state.tasks):
            task.cancel()
        self.room.turns.close()
        await until(lambda: not self.room.state.connections)


class Client:
    """A connection of somebody's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin."""
        self._reader = reader
        self._writer = writer

    async def is_right(self) -> bool:
        """Wait for an answer; whether it is the right one."""
        return (await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")

    async def is_hung_up_on(self) -> bool:
        """Wait for the end; whether there was no answer before it."""
        with contextlib.suppress(ConnectionError):
            return not await self._reader.read()
        return True

    def leave(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop go on until something is so."""
    while not condition():  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def house() -> AsyncIterator[House]:
    """A listener that right credentials have come to from one address, and no others so far."""
    async with asyncio.timeout(50):  # an answer has 60 s
        opened = House()
        try:
            sender = await opened.visit(KNOWN, RIGHT)
            assert await sender.is_right()
            sender.leave()
            await until(lambda: not opened.room.state.connections)
            yield opened
        finally:
            await opened.close()


def test_a_known_address_needs_no_room() -> None:
    """A client from where right credentials came is let in past those who wait for room."""

    async def conversation() -> None:
        async with house() as full:
            await full.fill()
            await full.visit(STRANGE, ENDLESS)
            await until(lambda: full.admission.waiting)
            sender = await full.visit(KNOWN, RIGHT)
            assert await sender.is_right()
            assert full.endless == ROOM

    uvloop.run(conversation())


def test_a_new_address_waits_for_room() -> None:
    """Clients from where nothing right came are let in one after the other, as room comes."""

    async def conversation() -> None:
        async with house() as full:
            strangers = await full.fill()
            first = await full.visit(NEW, RIGHT)
            await until(lambda: full.admission.waiting == 1)
            second = await full.visit(NEWER, RIGHT)
            await until(lambda: full.admission.waiting == 2)
            strangers[0].leave()
            assert await first.is_right()
            strangers[1].leave()
            assert await second.is_right()

    uvloop.run(conversation())


def test_who_waits_is_let_in_once_its_address_is_known() -> None:
    """Right credentials from an address let all in that wait and come from there."""

    async def conversation() -> None:
        async with house() as full:
            strangers = await full.fill()
            senders = [await full.visit(NEW, RIGHT) for _ in range(OVERFLOW)]
            await until(lambda: full.admission.waiting == OVERFLOW)
            strangers[0].leave()
            for sender in senders:
                assert await sender.is_right()

    uvloop.run(conversation())


def test_strangers_do_not_wait_in_any_number() -> None:
    """Connections beyond those that may wait are not accepted, and in the end all are answered."""

    async def conversation() -> None:
        async with house() as full:
            strangers = await full.fill()
            beyond = [await full.visit(STRANGE, RIGHT) for _ in range(2 * OVERFLOW)]
            await until(lambda: full.admission.waiting == OVERFLOW)
            for stranger in strangers:
                stranger.leave()
            for client in beyond:
                assert await client.is_right()
                client.leave()
            assert full.most <= ROOM + OVERFLOW

    uvloop.run(conversation())


def test_a_known_address_is_bounded() -> None:
    """Strangers who share a sender's address take no more connections than may be accepted."""

    async def conversation() -> None:
        async with house() as full:
            most = ROOM + OVERFLOW
            clients = [await full.visit(KNOWN, ENDLESS) for _ in range(2 * most)]
            await until(lambda: full.endless == most)
            assert full.room.overflow == 0
            for left, client in enumerate(clients[:most]):
                client.leave()
                await until(lambda so_far=left: full.endless > most + so_far)  # type: ignore[misc]
            assert full.most == most

    uvloop.run(conversation())


def test_strangers_make_room_for_all_that_are_too_many() -> None:
    """Where known addresses have taken more than there is, strangers go until a new one fits in."""

    async def conversation() -> None:
        async with house() as full:
            for _ in range(ROOM):
                await full.visit(STRANGE, b"")
            await until(lambda: len(full.room.state.connections) == ROOM)
            for _ in range(OVERFLOW - 1):
                await full.visit(KNOWN, ENDLESS)
            await until(lambda: full.endless == OVERFLOW - 1)
            sender = await full.visit(NEW, RIGHT)
            assert await sender.is_right()
            assert full.most <= ROOM + OVERFLOW
            await until(lambda: len(full.room.state.connections) <= ROOM)

    uvloop.run(conversation())


def test_those_who_wait_are_closed_at_the_end() -> None:
    """Nobody who waits for room is left waiting by a listener that closes."""

    async def conversation() -> None:
        async with house() as full:
            await full.fill()
            waiting = await full.visit(STRANGE, ENDLESS)
            await until(lambda: full.admission.waiting)
            full.admission.close()
            assert await waiting.is_hung_up_on()

    uvloop.run(conversation())
