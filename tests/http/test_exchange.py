"""One request and its answer between an ASGI application and a connection."""

import asyncio
import contextlib
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bandwidth_voice_exporter.http.exchange import Exchange

DATE = (b"date", b"Sun, 06 Nov 1994 08:49:37 GMT")


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def _done() -> asyncio.Future[None]:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        done = loop.create_future()
        done.set_result(None)
        return done


class Line:
    """A connection without a client."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = Wire()
        self.is_writing_paused = False
        self.done = _done()
        self.answers = 0
        self.hears = asyncio.Event()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        return [DATE]

    def read_on(self) -> None:
        pass

    async def drained(self) -> None:
        await self.hears.wait()

    def may_stay_refused(self, status: int) -> bool:
        del status
        return True

    def on_answered(self) -> None:
        self.answers += 1

    def on_broken_off(self) -> None:
        pass


def exchange(line: Line, method: str = "POST", **changes: bool) -> Exchange:
    """A request on a connection."""
    one = Exchange(line, {"type": "http", "method": method})
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    """The message that begins an answer."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, *, more: bool = False) -> Message:
    """The message with a part of an answer's body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def answering(*messages: Message) -> ASGIApp:
    """An application that sends these."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        for message in messages:
            await send(message)

    return application


def written(app: ASGIApp, method: str = "POST", **changes: bool) -> tuple[bytes, bool]:
    """Return the bytes of an application's answer, and whether the connection is then closed."""
    line = Line()
    asyncio.run(exchange(line, method, **changes).run(app))
    assert isinstance(line.transport, Wire)
    return line.transport.written, line.transport.is_closed


HEAD = b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
FIVE = (b"content-length", b"5")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((start(200, FIVE), part(b"hello")), HEAD + b"content-length: 5\r\n\r\nhello"),
        (
            (start(200, FIVE), part(b"he", more=True), part(b"llo")),
            HEAD + b"content-length: 5\r\n\r\nhello",
        ),
        (
            (start(), part(b"he", more=True), part(b"", more=True), part(b"llo")),
            HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        (
            (start(204), part(b"")),
            HEAD.replace(b"200 OK", b"204 No Content") + b"\r\n",
        ),
    ],
    ids=["length", "in-parts", "chunked", "no-content"],
)
def test_framing(messages: tuple[Message, ...], expected: bytes) -> None:
    """A body has its length or comes in chunks, a 204 has none, and the connection stays."""
    assert written(answering(*messages)) == (expected, False)


def test_head() -> None:
    """The answer to HEAD is that to GET without its body."""
    app = answering(start(200, FIVE), part(b"hello"))
    assert written(app, "HEAD") == (HEAD + b"content-length: 5\r\n\r\n", False)


@pytest.mark.parametrize(
    ("headers", "is_kept_alive"), [((), False), (((b"connection", b"close"),), True)]
)
def test_the_last_answer(headers: tuple[tuple[bytes, bytes], ...], is_kept_alive: bool) -> None:  # noqa: FBT001  # a table
    """An answer that says so once, for either side's wish, is the connection's last."""
    app = answering(start(200, FIVE, *headers), part(b"hello"))
    text, is_closed = written(app, is_kept_alive=is_kept_alive)
    assert text.count(b"connection: close\r\n") == 1
    assert is_closed


def test_a_value_of_two_lines_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """A header that would end the line is an error of the application's, answered 500."""
    text, _ = written(answering(start(200, (b"x-name", b"a\r\nset-cookie: b")), part(b"")))
    assert text.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in text
    assert "more than one line" in caplog.text


def test_an_application_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error before the answer is a 500 and the end of the connection, and is logged."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise ValueError("no")

    text, is_closed = written(failing)
    assert text.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert text.endswith(b"\r\n\r\n")
    assert is_closed
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_an_answer_that_breaks_off() -> None:
    """An answer that has begun and is not ended ends the connection: half is not taken for all."""
    assert written(answering(start(200, FIVE), part(b"he", more=True))) == (
        HEAD + b"content-length: 5\r\n\r\nhe",
        True,
    )


def test_an_application_that_says_nothing() -> None:
    """No answer at all is a 500."""
    assert written(answering())[0].startswith(b"HTTP/1.1 500 ")


def test_nothing_is_written_to_who_has_gone() -> None:
    """After the client has gone an answer goes nowhere, and nobody is told of it."""

    async def conversation() -> tuple[bytes, int]:
        line = Line()
        one = exchange(line)
        one.lose()
        await one.run(answering(start(), part(b"hello")))
        assert isinstance(line.transport, Wire)
        return line.transport.written, line.answers

    assert asyncio.run(conversation()) == (b"", 0)


def test_a_body_comes_as_it_comes() -> None:
    """The bytes that have come are received at once, the rest as it comes, then the disconnect."""

    async def conversation() -> list[Message]:
        one = exchange(Line())
        one.feed(b"a")
        one.feed(b"b")
        received = [await one.receive()]
        waiting = asyncio.ensure_future(one.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        one.feed(b"c")
        one.end()
        received.append(await waiting)
        waiting = asyncio.ensure_future(one.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        one.lose()
        return [*received, await waiting]

    assert asyncio.run(conversation()) == [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c", "more_body": False},
        {"type": "http.disconnect"},
    ]


@pytest.mark.parametrize(("asks", "expected"), [(True, 1), (False, 0)], ids=["asks", "refuses"])
def test_continue(asks: bool, expected: int) -> None:  # noqa: FBT001  # a table
    """A client that waits for it is told to go on once, when its body is wanted, else never."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        for _ in range(2 * asks):
            await receive()
        await send(start(200, FIVE))
        await send(part(b"hello"))

    async def conversation() -> bytes:
        line = Line()
        one = exchange(line, is_continue_due=True)
        running = asyncio.ensure_future(one.run(application))
        await asyncio.sleep(0)
        one.feed(b"x")
        await asyncio.sleep(0)
        one.end()
        await running
        assert isinstance(line.transport, Wire)
        return line.transport.written

    assert asyncio.run(conversation()).count(b"HTTP/1.1 100 Continue\r\n\r\n") == expected


def test_a_deaf_client_is_waited_for() -> None:
    """Nothing is written while the client takes nothing."""

    async def conversation() -> None:
        line = Line()
        line.is_writing_paused = True
        running = asyncio.ensure_future(exchange(line).run(answering(start(200, FIVE), part(b"x"))))
        await asyncio.sleep(0)
        assert isinstance(line.transport, Wire)
        assert not line.transport.written
        line.is_writing_paused = False
        line.hears.set()
        await running
        assert line.transport.written

    asyncio.run(conversation())
