"""Heads that are known again: nothing that is read of a request depends on it."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Bounds, Terms
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.fault import FaultError
from bandwidth_voice_exporter.http.heads import LONGEST, Head, Heads
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.http.wire import Wire

POST = b"POST /x?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
OTHER = POST.replace(b"Host: a", b"Host: b")
SOME = Head("POST", b"/", "1.1", [], may_be_followed=True, length=0)


class Request:
    """A request as it is read off a wire."""

    def __init__(self, heads: Heads, data: bytes, size: int = 10**6) -> None:
        self.body = b""
        self.wire = Wire(Bounds(), heads)
        self.behind = 0  # bytes that were not read
        for start in range(0, len(data), size):
            part = data[start : start + size]
            place = 0
            while place < len(part) and not self.wire.is_whole:
                place = self.wire.read(part, place)
                self.wire.sink = self.take
            self.behind += len(part) - place

    def take(self, part: bytes) -> None:
        """Take a part of the body."""
        self.body += part

    def said(self) -> tuple[Head | None, bytes, int, int, bool]:
        """All there is to know of it."""
        return self.wire.head, self.body, self.wire.size, self.behind, self.wire.is_whole


def learned(*texts: bytes) -> Heads:
    """Heads that know those of some requests."""
    heads = Heads()
    for text in texts:
        wire = Request(heads, text).wire
        assert wire.head
        assert wire.learnable
        heads.learn(wire.learnable, wire.head)
    return heads


@pytest.mark.parametrize("size", [10**6, 60, 7, 1])
@pytest.mark.parametrize(
    "data",
    [
        POST + b"body" + b"POST",
        POST + b"bo",
        POST.replace(b"1.1", b"1.0") + b"body",
        POST.replace(b"Host: a", b"Connection: close") + b"body",
        b"GET /?a=\xc3\xa4 b HTTP/1.1\r\n\r\nGET",
        b"HEAD / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 90 + b"Content-Length: 2\r\n\r\n{}",
    ],
)
def test_a_known_head_says_what_an_unknown_one_does(data: bytes, size: int) -> None:
    """A request whose head is known is the same to the byte, in whatever parts it comes."""
    unknown, known = Request(Heads(), data), Request(learned(data), data, size)
    assert known.said() == unknown.said()
    assert known.wire.headers == unknown.wire.headers
    assert not known.wire.learnable


def test_another_head_is_read() -> None:
    """A head that differs in a byte is not taken for one that is known."""
    other = Request(learned(POST), OTHER + b"body").wire
    assert other.learnable == OTHER
    assert other.headers[0] == (b"host", b"b")


@pytest.mark.parametrize(
    "data",
    [
        POST.replace(b"Host: a", b"Expect: 100-continue") + b"body",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n" + POST + b"body",
        b"POST / HTTP/1.1\r\nA: " + b"a" * LONGEST + b"\r\nContent-Length: 4\r\n\r\nbody",
    ],
    ids=["expects", "chunks", "empty-lines", "long"],
)
def test_an_unusual_head_is_not_learned(data: bytes) -> None:
    """A head that leaves something open, and a long one, are read each time."""
    wire = Request(Heads(), data).wire
    assert wire.is_whole
    assert not wire.learnable


def test_a_body_behind_a_known_head_has_its_limit() -> None:
    """All that a request may take on the wire is no more for a known head."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n"
    wire = Wire(Bounds(request_bytes=len(head) + 9), learned(head + b"."))
    assert wire.read(head + b"12345678", 0) == len(head)
    assert wire.read(b"12345678", 0) == 8
    with pytest.raises(FaultError):
        wire.read(b"9.", 0)


def test_so_many_are_known_until_their_time_is_over() -> None:
    """Heads beyond a number are not learned, and none stays for longer than ten seconds."""
    heads = Heads()
    heads.look(100)
    for number in range(1000):
        heads.learn(b"%d" % number, SOME)
    heads.look(109)
    assert [bool(heads.find(b"%d" % number)) for number in (0, 255, 256, 999)] == [
        *(True, True, False, False)
    ]
    heads.look(110)
    assert not heads.find(b"0")
    heads.learn(b"999", SOME)
    assert heads.find(b"999")


class Client(asyncio.Transport):
    """A client that reads its answers at once."""

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def sent(heads: Heads, *packets: bytes, is_trusted: bool = True) -> list[tuple[bytes, bytes]]:
    """Return the host and body of each request that these packets bring to an application."""
    asked: list[tuple[bytes, bytes]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        message: Message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        asked.append((dict(scope["headers"])[b"host"], body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    room = Room(application, Terms(9, 1, lambda *_: None), ServerState())
    room.heads = heads
    connection = Connection(room)
    connection.connection_made(Client())
    if is_trusted:
        connection.trust()
    for packet in packets:
        connection.get_buffer(-1)[: len(packet)] = packet
        connection.buffer_updated(len(packet))
        for _ in range(20):
            await asyncio.sleep(0)
    return asked


@pytest.mark.parametrize("known", [(), (POST,), (POST, OTHER)])
@pytest.mark.parametrize(
    "packets",
    [
        (POST + b"1234" + OTHER + b"5678" + POST + b"9012",),
        (POST[:20], POST[20:] + b"1234", OTHER + b"56", b"78" + POST[:-2], POST[-2:] + b"9012"),
        (POST, b"1234", OTHER, b"5678", POST, b"9012"),
    ],
    ids=["pipelined", "cut", "apart"],
)
def test_known_heads_come_in_any_packets(
    packets: tuple[bytes, ...], known: tuple[bytes, ...]
) -> None:
    """Requests one behind the other, in one packet or several, each have their own body."""
    asked = asyncio.run(sent(learned(*known), *packets))
    assert asked == [(b"a", b"1234"), (b"b", b"5678"), (b"a", b"9012")]


@pytest.mark.parametrize("is_trusted", [False, True])
def test_heads_of_strangers_are_not_learned(*, is_trusted: bool) -> None:
    """Only a connection that right credentials have come on fills the room for known heads."""
    heads = Heads()
    asked = asyncio.run(sent(heads, POST + b"body", is_trusted=is_trusted))
    assert asked == [(b"a", b"body")]
    assert bool(heads.find(POST)) == is_trusted
