"""HTTP/1.1 on one connection, with an end to everything that is waited for."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
import msgspec
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from bandwidth_voice_exporter.exchange import Eager, Exchange

_UPGRADE = b"\nupgrade:"
_UPGRADES = re.compile(_UPGRADE, re.IGNORECASE)
_TAIL = len(b"\nupgrade")
_MOST_PIPELINED = 50
_MOST_UNREAD = 64 * 1024  # bytes of a body that nobody has asked for yet
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Limits(msgspec.Struct, frozen=True):
    """What one connection may take; times in seconds.

    ``head`` is for a request's line and headers, from the connection's start or the first byte
    after an answer; ``body`` for the rest; ``idle`` for the time between an answer and the next
    request, longer than the 600 s for which Google's load balancers keep a connection: the one who
    hangs up first must not be this side.
    """

    head_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: float = 620.0
    head_bytes: int = 80 * 1024
    headers: int = 100


# Called with a reason of the rejections' metric, and the status where one was answered.
Reject = Callable[[str, HTTPStatus | None], None]


class BoundedProtocol(asyncio.Protocol):
    """A connection that knows until when it may stay as it is.

    Deadlines are times, not timers: who owns the connections looks at all of them now and then,
    and a request costs no timer. ``is_eager`` is for an application that awaits futures alone.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        app: ASGIApp,
        state: ServerState,
        *,
        limits: Limits,
        reject: Reject,
        is_eager: bool = False,
    ) -> None:
        self._app = app
        self._state = state
        self._limits = limits
        self._reject = reject
        self._is_eager = is_eager
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        # What comes after the last answer is somebody else's next request: no error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_continue_due = False
        self._reading: Exchange | None = None
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._server: tuple[str, int | None] | None = None
        self._client: tuple[str, int] | None = None
        self._scheme = "http"
        self._is_idle = False
        self._is_body_open = False
        self._is_paused = False
        self._head_bytes = 0
        self._tail = b""
        self.is_deaf = False
        self._hears = asyncio.Event()
        self.since = self._loop.time()
        self.deadline = self.since + limits.head_seconds

    @property
    def is_unread(self) -> bool:
        """Whether no request of it is read or being answered: closing it loses no event."""
        return self._is_all_answered and not self._is_body_open

    @property
    def is_evictable(self) -> bool:
        """Whether closing it makes room and loses no event, or the client takes no answers."""
        return (self._is_all_answered or self.is_deaf) and not self.transport.is_closing()

    @property
    def _is_all_answered(self) -> bool:
        return not self._waiting and (self._answering is None or self._answering.is_answered)

    def is_overdue(self, now: float) -> bool:
        """Whether its time is over."""
        return now >= self.deadline

    def end(self) -> None:
        """Close it, with an answer where a request was begun."""
        if self.transport.is_closing():  # to somebody who does not take what was written
            self.transport.abort()
        elif self._is_idle:
            self.transport.close()
        elif not self._head_bytes and self.is_unread:
            self._reject("timeout", None)
            self.transport.close()
        elif self.is_unread:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "timeout")
        else:
            if self._answering:
                self._answering.scope["state"]["is_late"] = True
            self.transport.abort()

    def evict(self) -> None:
        """Close it for others, before a request is read."""
        self._reject("overload", None)
        self.transport.abort()

    def shutdown(self) -> None:
        """Close it after what is being answered."""
        if self._is_all_answered:
            self.transport.close()
        elif self._reading:  # the newest
            self._reading.is_kept_alive = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.transport = transport
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        self._state.connections.add(self)  # type: ignore[arg-type]  # by what it can do

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what waits for the client."""
        del exc
        self._state.connections.discard(self)
        if self._answering:
            self._answering.lose()
        self._answering = self._reading = None
        self._waiting.clear()
        self._hears.set()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.transport.is_closing():
            return
        if self._is_idle:
            self._is_idle = False
            self._begin_head()
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(self._refusing_upgrades(data))
        except httptools.HttpParserUpgrade:
            pass  # CONNECT: answered as every method is
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "http")
            return
        if self._waiting:
            # Not at once: first read what has come on other connections, then answer all. The same
            # code for many requests in a row runs from the processor's cache, in half the time.
            self._loop.call_soon(self._go_on)
        if self._head_bytes > self._limits.head_bytes and self.is_unread:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers")

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, but not for ever."""
        self.is_deaf = True
        self._hears.clear()
        self.since = self._loop.time()
        self.deadline = self.since + self._limits.body_seconds

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        self.is_deaf = False
        self._hears.set()
        self.deadline = float("inf")
        if self.is_unread:
            self._rest()

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self._url = b""
        self._headers = []
        self._is_continue_due = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._is_continue_due = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin with a request whose headers are within the limits."""
        self._is_body_open = True
        self.deadline = self._loop.time() + self._limits.body_seconds
        if self.transport.is_closing():
            return
        if len(self._headers) > self._limits.headers:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers")
            return
        if len(self._waiting) >= _MOST_PIPELINED:
            self.evict()
            return
        version = self._parser.get_http_version()
        if not self._is_all_answered:
            self._stop_reading()
        self._reading = Exchange(
            self,
            self._scope(version),
            is_kept_alive=version != "1.0" and self._parser.should_keep_alive(),
            is_continue_due=self._is_continue_due,
        )
        self._waiting.append(self._reading)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._reading and not (self._reading.is_answered or self.transport.is_closing()):
            self._reading.feed(body)
            if self._reading.unread_bytes > _MOST_UNREAD:
                self._stop_reading()

    def on_message_complete(self) -> None:
        """Wait for the answer as long as it takes."""
        self._is_body_open = False
        self._head_bytes = 0
        self.deadline = float("inf")
        if self._reading and not self.transport.is_closing():
            self._reading.end()
            if self.is_unread:  # answered before it was whole
                self._rest()

    def on_answered(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        if self.transport.is_closing():
            self._begin_head()  # as long for the answer to be taken
            return
        self.read_on()
        if self._waiting:
            self._loop.call_soon(self._go_on)
        elif self.is_unread:
            self._rest()

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer has."""
        return self._state.default_headers

    def read_on(self) -> None:
        """Read what the client sends."""
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    async def heard(self) -> None:
        """Wait until the client takes what is written."""
        await self._hears.wait()

    def _stop_reading(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Have the next request answered, if it is its turn."""
        if not self._waiting or (self._answering and not self._answering.is_answered):
            return
        self._answering = self._waiting.popleft()
        answering = self._answering.run(self._app)
        running: set[Any] = self._state.tasks
        if self._is_eager:
            Eager(answering, running).run()
        else:
            task = self._loop.create_task(answering)
            running.add(task)
            task.add_done_callback(running.discard)

    def _scope(self, version: str) -> Scope:
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": self._parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self._headers,
            "state": {"hang_up": self.transport.abort},
        }

    def _refusing_upgrades(self, data: bytes) -> bytes:
        """Make the offer of another protocol unreadable, which says no to it.

        The parser skips the body of a request with such an offer (h2c, as Java's client makes it).
        The name may come in parts, and behind the end of another body; no line of JSON is like it.
        """
        text = self._tail + data
        self._tail = text[-_TAIL:]
        if _UPGRADE not in text.lower():
            return data
        seen = len(text) - len(data)
        whole = bytearray(text)
        for offer in _UPGRADES.finditer(text):
            *_, last_letter, colon = range(*offer.span())
            if last_letter >= seen:
                whole[last_letter] = ord("x")
            elif not self._is_body_open:
                whole.insert(colon, ord("-"))
        self._tail = bytes(whole[-_TAIL:])
        return bytes(whole[seen:])

    def _begin_head(self) -> None:
        self.since = self._loop.time()
        self.deadline = self.since + self._limits.head_seconds

    def _rest(self) -> None:
        self._is_idle = True
        self.since = self._loop.time()
        self.deadline = self.since + self._limits.idle_seconds

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if self.transport.is_closing():
            return
        self._reject(reason, status)
        self._begin_head()
        self.transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        self.transport.close()
