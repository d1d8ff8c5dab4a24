"""HTTP/1.1 on one connection: requests off the wire, each in its turn to the application."""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http.eager import Eager
from bandwidth_voice_exporter.http.exchange import Exchange

_MOST_UNREAD = 64 * 1024  # bytes of a body that nobody has asked for yet
_UPGRADE = b"upgrade"
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Connection(asyncio.Protocol):
    """A connection that requests come on, some perhaps before the last one is answered.

    uvicorn's own does the same with a scope, a task and timers for each request, which take longer
    than counting a call. ``is_eager`` is for an application that awaits nothing but futures.
    """

    transport: asyncio.Transport

    def __init__(self, app: ASGIApp, state: ServerState, *, is_eager: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_deaf = False
        self.is_body_open = False
        self.is_offer = False
        self.headers: list[tuple[bytes, bytes]] = []
        self._app = app
        self._state = state
        self._is_eager = is_eager
        self._parser: Any = httptools.HttpRequestParser(self)
        # What comes behind the last request is for nobody: no reason to refuse that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._server: tuple[str, int | None] | None = None
        self._client: tuple[str, int] | None = None
        self._scheme = "http"
        self._url = self._parsed = b""
        self._path, self._raw_path, self._query = "", b"", b""
        self._is_continue_due = False
        self._reading: Exchange | None = None
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._is_paused = False
        self._hears = asyncio.Event()

    @property
    def is_all_answered(self) -> bool:
        """Whether every request that has begun to come is answered."""
        return not self._waiting and (self._answering is None or self._answering.is_answered)

    @property
    def pipelined(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    def shutdown(self) -> None:
        """Close it after what is being answered."""
        if self.is_all_answered:
            self.transport.close()
        elif self._reading:  # the newest
            self._reading.is_kept_alive = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.transport = transport
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        self._state.connections.add(self)  # type: ignore[arg-type]  # one by what it can do

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
        unread: list[bytes | memoryview] = [data]
        while unread:
            part = unread.pop()
            try:
                self._parser.feed_data(part)
            except httptools.HttpParserUpgrade as upgrade:
                if self.is_offer:
                    (end,) = upgrade.args
                    unread += (memoryview(part)[end:], self._head_without_offer())
            except httptools.HttpParserError:
                self.on_malformed()
                return
        if self._waiting:
            # Not at once: first read what has come on other connections, then answer all. The same
            # code for many requests in a row runs from the processor's cache, in half the time.
            self.loop.call_soon(self._go_on)

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers."""
        self.is_deaf = True
        self._hears.clear()

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        self.is_deaf = False
        self._hears.set()

    def on_malformed(self) -> None:
        """Deal with what is not HTTP."""
        raise NotImplementedError

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self._url = b""
        self._is_continue_due = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._is_continue_due = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Put a request in its turn."""
        version = self._parser.get_http_version()
        if not self.is_all_answered:
            self._stop_reading()
        self._reading = Exchange(
            self,
            self._scope(version),
            is_kept_alive=version != "1.0" and self._parser.should_keep_alive(),
            is_continue_due=self._is_continue_due,
        )
        self._waiting.append(self._reading)

    def has_offer(self) -> bool:
        """Whether a head offers another protocol (h2c, as Java's client does), which is declined.

        The parser takes what follows such a head for that protocol: the head is read once more,
        without its offer. So not after CONNECT, which is answered as every method is.
        """
        self.is_offer = self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"
        return self.is_offer

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._reading and not self._reading.is_answered:
            self._reading.feed(body)
            if self._reading.unread_bytes > _MOST_UNREAD:
                self._stop_reading()

    def on_message_complete(self) -> None:
        """Take note that a request is whole."""
        if self._reading:
            self._reading.end()

    def on_answered(self) -> None:
        """Go on with the next request."""
        if not self.transport.is_closing():
            self.read_on()
            if self._waiting:
                self.loop.call_soon(self._go_on)

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

    def give_up(self) -> None:
        """Hang up on a request whose time is over."""
        if self._answering:
            self._answering.scope["state"]["is_late"] = True
        self.transport.abort()

    def _head_without_offer(self) -> bytes:
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self._url, version)]
        lines += (b"%b: %b" % header for header in self.headers if header[0].lower() != _UPGRADE)
        return b"\r\n".join((*lines, b"", b""))

    def _stop_reading(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _go_on(self) -> None:
        if not self._waiting or (self._answering and not self._answering.is_answered):
            return
        self._answering = self._waiting.popleft()
        answering = self._answering.run(self._app)
        running: set[Any] = self._state.tasks
        if self._is_eager:
            Eager(answering, running).run()
        else:
            task = self.loop.create_task(answering)
            running.add(task)
            task.add_done_callback(running.discard)

    def _scope(self, version: str) -> Scope:
        if self._url != self._parsed:  # nearly all requests of a connection have the same
            url = httptools.parse_url(self._url)
            self._raw_path, self._query = url.path, url.query or b""
            self._path = unquote(url.path.decode("ascii"))
            self._parsed = self._url
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": self._parser.get_method().decode("ascii"),
            "root_path": "",
            "path": self._path,
            "raw_path": self._raw_path,
            "query_string": self._query,
            "headers": self.headers,
            "state": {"hang_up": self.transport.abort},
        }
