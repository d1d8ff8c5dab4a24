"""One request and its answer, as ASGI has them."""

import asyncio
import logging
from collections.abc import Awaitable
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol

from starlette.types import ASGIApp, Message, Scope

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value)
_FAILED: Message = {
    "type": "http.response.start",
    "status": HTTPStatus.INTERNAL_SERVER_ERROR.value,
    "headers": [(b"content-length", b"0"), (b"connection", b"close")],
}
_NO_BODY: Message = {"type": "http.response.body"}
_MOST_UNREAD = 64 * 1024  # bytes of a body that nobody has asked for yet
_DISCONNECT: Message = {"type": "http.disconnect"}

_log = logging.getLogger("uvicorn.error")


class Line(Protocol):
    """The parts of a connection that an exchange uses."""

    transport: asyncio.Transport
    is_writing_paused: bool
    done: asyncio.Future[None]  # what to wait for where nothing is: it costs less than a coroutine

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that every answer has."""
        ...

    def read_on(self) -> None:
        """Read what the client sends."""
        ...

    async def drained(self) -> None:
        """Wait while writing is paused, until the client has drained its answer."""
        ...

    def may_stay_refused(self, status: int) -> bool:
        """Whether the connection is kept after a refusal."""
        ...

    def on_answered(self) -> None:
        """Go on after an answer."""
        ...

    def on_broken_off(self) -> None:
        """Go on after a request that did not become whole, and was not answered."""
        ...


class Exchange:
    """A request as it comes, and the answer to it: as a whole, or in parts as the body does."""

    __slots__ = (
        *("scope", "is_kept_alive", "is_continue_due", "is_whole", "is_answered", "unread_bytes"),
        *("_connection", "_body", "_is_broken_off", "_is_lost", "_has_news", "_news"),
        *("_head", "_is_begun", "_is_chunked"),
    )

    def __init__(self, connection: Line, scope: Scope) -> None:
        self.scope = scope
        self.is_kept_alive = True
        self.is_continue_due = False  # before the client sends the body
        self.is_whole = False
        self.is_answered = False
        self.unread_bytes = 0
        self._connection = connection
        self._body: bytes | bytearray = b""
        self._is_broken_off = False
        self._is_lost = False
        self._has_news = False
        self._news: asyncio.Event | None = None
        self._head: Message | None = None
        self._is_begun = False
        self._is_chunked = False

    @property
    def has_much_unread(self) -> bool:
        """Whether more of the body has come than was asked for, by far."""
        return self.unread_bytes > _MOST_UNREAD and not self.is_answered

    def feed(self, part: bytes) -> None:
        """Take a part of the request's body, which is for nobody after the answer."""
        if self.is_answered:
            return
        if not self._body:
            self._body = part
        else:  # in one piece: each of many small ones would take more than what is in it
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += part
        self.unread_bytes += len(part)
        self._tell()

    def end(self) -> None:
        """Take note that the request is whole."""
        self.is_whole = True
        self._tell()

    def break_off(self) -> None:
        """Take note that the rest of the request cannot be read; it may be answered without."""
        self._is_broken_off = True
        self._tell()

    def lose(self) -> None:
        """Take note that the client has gone."""
        self._is_lost = True
        self._tell()

    async def run(self, app: ASGIApp) -> None:
        """Have the request answered by an application, whatever becomes of that."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:  # noqa: BLE001  # nobody awaits this: it is logged here or nowhere
            _log.exception("Exception in ASGI application")
        if self.is_answered or self._is_lost or self._connection.transport.is_closing():
            return
        if self._is_begun:
            self._connection.transport.close()
        elif self._is_broken_off:
            self._connection.on_broken_off()
        else:
            await self.send(_FAILED)
            await self.send(_NO_BODY)

    async def receive(self) -> Message:
        """Return the body's bytes since the last time, or that the client has gone."""
        transport = self._connection.transport
        if self.is_continue_due and not transport.is_closing():
            transport.write(_CONTINUE)
            self.is_continue_due = False
        self._connection.read_on()
        while not (self._has_news or self._is_lost or self.is_answered):
            self._news = self._news or asyncio.Event()
            self._news.clear()
            await self._news.wait()
        if self._is_lost or self._is_broken_off or self.is_answered:
            return _DISCONNECT
        body = bytes(self._body)
        self._body = b""
        self.unread_bytes = 0
        self._has_news = False
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    def send(self, message: Message) -> Awaitable[None]:
        """Write the answer; its head goes with the first part of its body."""
        connection = self._connection
        if message["type"] == "http.response.start":
            self._head = message
        elif connection.is_writing_paused and not self._is_lost:
            return self._write_later(message)
        else:
            self._write(message)
        return connection.done

    async def _write_later(self, message: Message) -> None:
        await self._connection.drained()
        self._write(message)

    def _write(self, message: Message) -> None:
        transport = self._connection.transport
        if self._is_lost or transport.is_closing():
            return
        if self._head is None and not self._is_begun:
            raise RuntimeError("an answer's body before its head")
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        parts = self._begin(self._head) if self._head else []
        if self._is_chunked:
            parts += (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            parts += (b"0\r\n\r\n",) if is_last else ()
        elif self.scope["method"] != "HEAD":
            parts.append(body)
        transport.write(b"".join(parts))
        if is_last:
            self._complete()

    def _begin(self, head: Message) -> list[bytes]:
        self._head = None
        status = head["status"]
        own = head.get("headers", ())
        if own and any(name == b"date" for name, _ in own):  # one that is passed on
            lines = _lines(status, tuple(own))
        else:
            lines = _lines(status, (*self._connection.default_headers, *own))
        parts = [lines.text]
        # A body that the client would send after 100 Continue may never come: where it would be,
        # the next request is.
        is_refused = status >= HTTPStatus.BAD_REQUEST
        if (
            lines.says_close
            or self.is_continue_due
            or (is_refused and not self._connection.may_stay_refused(status))
        ):
            self.is_kept_alive = False
        if not (lines.has_length or self.scope["method"] == "HEAD"):
            self._is_chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        if not (self.is_kept_alive or lines.says_close):
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        self._is_begun = True
        self.is_continue_due = False
        return parts

    def _complete(self) -> None:
        self.is_answered = True
        self._tell()
        if not self.is_kept_alive:
            self._connection.transport.close()
        self._connection.on_answered()

    def _tell(self) -> None:
        self._has_news = True
        if self._news:
            self._news.set()


class _Lines(NamedTuple):
    """A head as it is written, and what of it matters here."""

    text: bytes
    has_length: bool
    says_close: bool


@lru_cache(maxsize=64)  # the answer to an event is the same for a second: as long as its date
def _lines(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> _Lines:
    # A status that a handler made up has no phrase.
    parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
    has_length = status in _WITHOUT_BODY
    says_close = False
    for name, value in headers:
        if b"\r" in value or b"\n" in value:
            raise RuntimeError("a header's value in more than one line")
        has_length |= name == b"content-length"
        says_close |= name == b"connection" and value.lower() == b"close"
        parts += (name, b": ", value, b"\r\n")
    return _Lines(b"".join(parts), has_length, says_close)
