"""HTTP/1.1 on one connection: one request after the other, with an end to everything."""

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from bandwidth_voice_exporter.http.borrowed import get_local_addr, get_remote_addr, is_ssl
from bandwidth_voice_exporter.http.eager import Eager
from bandwidth_voice_exporter.http.exchange import Exchange
from bandwidth_voice_exporter.http.room import STRANGERS_READ_BYTES, Room
from bandwidth_voice_exporter.http.wire import MALFORMED, Fault, FaultError, Wire

_MOST_UNREAD = 64 * 1024  # bytes of a body that nobody has asked for yet
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_NEVER = float("inf")
# A client that means it sends its request at once: younger connections are not given up.
_GRACE_SECONDS = 1.0
_MOST_REFUSALS = 2  # of a stranger to whom it may be Bandwidth that asks first
_SMALL = 8 * 1024  # bytes of a whole request for which it is not noted what it takes
_HEADER_BYTES = 150  # that each takes beside its own

_LATE_HEAD = Fault(HTTPStatus.REQUEST_TIMEOUT, "timeout")
_LATE = Fault(None, "timeout")
_BROKEN_OFF = Fault(None, "aborted")


class Connection(asyncio.BufferedProtocol):
    """A connection that requests come on, each of them read once the one before it is answered.

    uvicorn's own has a scope, a task and timers for each request, which take longer than counting a
    call, and neither an end to what a request may take nor an order in which strangers go.
    Deadlines are times, not timers: who owns the connections looks at all of them now and then, and
    a request costs no timer. One that is set is only ever replaced by the next.
    """

    transport: asyncio.Transport

    def __init__(self, room: Room) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_deaf = False
        self.is_trusted = False
        self.held_bytes = 0
        # A stranger is as old as the connection, however often it is refused.
        self.since = self.loop.time()
        self._room = room
        self._limits = room.limits
        self._wire = Wire(room.limits)
        self._deadline = self.since + room.limits.head_seconds
        self._deaf_until = _NEVER
        self._spared_until = self.since + _GRACE_SECONDS
        self._refusals = 0
        self._strange_bytes = 0
        self._server: tuple[str, int | None] | None = None
        self._client: tuple[str, int] | None = None
        self._scheme = "http"
        self._url, self._path, self._raw_path, self._query = b"", "", b"", b""
        self._exchange: Exchange | None = None
        self._unread = b""  # what has come behind a request that is not answered yet
        self._fault: Fault | None = None  # what the connection ends with after an answer
        self._is_idle = False
        self._is_over = False
        self._is_half_closed = False
        self._is_paused = False
        self._is_waiting = False
        self._hears = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def is_evictable(self) -> bool:
        """Whether closing it makes room and loses no event, or the client takes no answers."""
        is_free = self._exchange is None or self._exchange.is_answered or self.is_deaf
        return is_free and not self.transport.is_closing()

    def is_spared(self, now: float) -> bool:
        """Whether it is too early to close it for others."""
        return now < (self.since + _GRACE_SECONDS if self.is_trusted else self._spared_until)

    def is_overdue(self, now: float) -> bool:
        """Whether its time is over."""
        return now >= self._deadline or now >= self._deaf_until

    def end(self) -> None:
        """Close it as its time is over, with an answer where a head was begun."""
        exchange = self._exchange
        if self.transport.is_closing() or self.is_deaf:  # to somebody who takes no answer
            self.hang_up()
        elif self._is_idle:
            self._close()
        elif exchange is None:
            self._finish(_LATE_HEAD if self._wire.size else _LATE)
        else:
            if not (exchange.is_whole or exchange.is_answered):
                self._room.reject("timeout", None)
            self.hang_up()

    def evict(self) -> None:
        """Close it for others."""
        self._room.reject("overload", None)
        self._room.hold(self, 0)
        self.hang_up()

    def shutdown(self) -> None:
        """Close it after what is being answered."""
        if self._exchange is None or self._exchange.is_answered:
            self._close()
        else:
            self._exchange.is_kept_alive = False

    # What an application may say of who sent a request.

    def trust(self) -> None:
        """Take note of right credentials: others go first where there is not enough for all."""
        self.since = self.loop.time()
        self._refusals = 0
        if not self.is_trusted:
            self.is_trusted = True
            self.take_turn()

    def hang_up(self) -> None:
        """Close it at once, without an answer."""
        self._is_over = True
        self.transport.abort()

    async def left(self) -> None:
        """Wait until the client sends no more, be it that it has gone."""
        await self._left.wait()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.transport = transport
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        self._room.state.connections.add(self)  # type: ignore[arg-type]  # one by what it can do

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what waits for the client."""
        del exc
        self._room.state.connections.discard(self)
        self._room.hold(self, 0)
        exchange, self._exchange = self._exchange, None
        if exchange:
            if not (self._is_over or exchange.is_whole or exchange.is_answered):
                self._room.reject(_BROKEN_OFF.reason, None)
            exchange.lose()
        self._is_over = True
        self._hears.set()
        self._left.set()
        self._wire.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say how much to read at once."""
        del sizehint
        return self._room.buffer if self.is_trusted else self._room.small_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes from the client."""
        data = bytes(self._room.buffer[:nbytes])
        if self._is_over:
            return
        if self._unread or self._wire.is_whole:
            self._unread += data
            self._pause()
            self._note_held()
        elif self.is_trusted:
            self._read(data)
        else:
            self._strange_bytes += nbytes
            self._read_stranger(data)
            if self._is_costly and not self._is_over:
                self._pause()
                self._wait_for_turn()

    def eof_received(self) -> bool:
        """Answer what is whole to a client that sends no more, where the connection allows it."""
        self._left.set()
        exchange = self._exchange
        if exchange is None or self._is_over or (exchange.is_answered and not self._unread):
            return False
        self._is_half_closed = True
        if not exchange.is_whole:
            self._break_off(_BROKEN_OFF)
        return self._scheme == "http"

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, but not for ever."""
        self.is_deaf = True
        self._deaf_until = self.loop.time() + self._limits.body_seconds
        self._hears.clear()

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        self.is_deaf = False
        self._deaf_until = _NEVER
        self._hears.set()

    def take_turn(self) -> None:
        """Read on where that had to wait."""
        if self._is_over or not self._is_waiting:  # trusted meanwhile
            return
        self._is_waiting = False
        if self._unread and self._exchange is None:
            self._read_unread()
        else:
            self.read_on()

    # What an exchange needs.

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that every answer has."""
        return self._room.state.default_headers

    async def heard(self) -> None:
        """Wait until the client takes what is written."""
        await self._hears.wait()

    def read_on(self) -> None:
        """Read what the client sends, unless something is to be done before."""
        is_held_up = self._is_waiting or self._unread or self._is_half_closed or self._is_over
        if self._is_paused and not is_held_up:
            self._is_paused = False
            self.transport.resume_reading()

    def may_stay_refused(self) -> bool:
        """Whether the connection is kept though a request on it is refused.

        Bandwidth may ask first, be refused for want of credentials, and come again with them on the
        same connection. Who is refused again and again stays while there is room.
        """
        self._refusals += 1
        is_first = self._refusals < _MOST_REFUSALS
        self._spared_until = self.loop.time() + _GRACE_SECONDS if is_first else 0.0
        return is_first or not self._room.is_nearly_full

    def on_answered(self) -> None:
        """Go on to the next request, or wait for the rest of this one."""
        exchange = self._exchange
        if exchange is None:  # the client has gone
            return
        if self._fault:
            self._finish(Fault(None, self._fault.reason))
        elif not exchange.is_kept_alive:
            self._close()
        elif exchange.is_whole:
            self._next()
        elif self.held_bytes:
            self._room.hold(self, 0)

    def on_broken_off(self) -> None:
        """End with what was wrong, as there was no answer."""
        if self._fault:
            self._finish(self._fault)

    def _read_stranger(self, data: bytes) -> None:
        began = time.perf_counter()
        self._read(data)
        self._room.turns.spend(began)

    def _read(self, data: bytes) -> None:
        """Read as far as the end of a request."""
        if self._is_idle:
            self._is_idle = False
            self._deadline = self.loop.time() + self._limits.head_seconds
        wire = self._wire
        place = 0
        try:
            place = wire.read(data, place)
            if wire.is_head_whole and self._exchange is None:
                self._begin()
                place = wire.read(data, place)
        except FaultError as error:
            self._break_off(error.fault)
            return
        if wire.is_whole:
            self._unread = data[place:]
            is_small = wire.size <= _SMALL and not self._unread
            self._on_whole()
            if is_small and not self.held_bytes:
                return
        self._note_held()

    def _begin(self) -> None:
        wire = self._wire
        is_old = wire.version == "1.0"
        self._exchange = exchange = Exchange(
            self,
            self._scope(),
            is_kept_alive=not is_old and wire.may_be_followed,
            is_continue_due=wire.is_continue_due and not is_old and not wire.is_whole,
        )
        wire.sink = exchange.feed
        if not wire.is_whole:
            self._deadline = self.loop.time() + self._limits.body_seconds
        # Not at once: first read what has come on other connections, then answer all. The same
        # code for many requests in a row runs from the processor's cache, in half the time.
        self.loop.call_soon(self._run, exchange)

    def _run(self, exchange: Exchange) -> None:
        if exchange is not self._exchange:
            return  # the client has gone
        running: set[Any] = self._room.state.tasks
        answering = exchange.run(self._room.app)
        if self._room.is_eager:
            Eager(answering, running).run()
        else:
            task = self.loop.create_task(answering)
            running.add(task)
            task.add_done_callback(running.discard)

    def _on_whole(self) -> None:
        exchange = self._exchange
        if exchange is None:
            raise AssertionError("a request without a head")
        exchange.end()
        self._deadline = self.loop.time() + self._limits.answer_seconds
        if self._unread:
            self._pause()
        if exchange.is_answered:
            self._next()

    def _next(self) -> None:
        """Be ready for the next request."""
        self._exchange = None
        self._wire.begin()
        if self.held_bytes:
            self._note_held()
        self._is_idle = True
        self._deadline = self.loop.time() + self._limits.idle_seconds
        if self._unread and self._is_costly:
            self._wait_for_turn()
        elif self._unread:
            self.loop.call_soon(self._read_unread)
        elif self._is_half_closed:
            self._close()
        else:
            self.read_on()

    def _read_unread(self) -> None:
        if self._is_over:
            return
        data, self._unread = self._unread, b""
        if self.is_trusted:
            self._read(data)
        else:
            self._read_stranger(data)
        if not self._is_half_closed:
            self.read_on()
        elif self._exchange is None:
            self._close()
        elif not self._exchange.is_whole:
            self._break_off(_BROKEN_OFF)

    def _break_off(self, fault: Fault) -> None:
        """Read no more; what can be answered all the same is, and then the connection ends."""
        self._is_over = True
        exchange = self._exchange
        if exchange is None:
            self._finish(fault)
        elif exchange.is_answered:
            self._finish(Fault(None, fault.reason))
        else:
            self._fault = fault
            exchange.break_off()

    def _finish(self, fault: Fault) -> None:
        self._room.reject(fault.reason, fault.status)
        if fault.status:
            self.transport.write(
                f"HTTP/1.1 {fault.status.value} {fault.status.phrase}\r\n"
                "content-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self._deadline = self.loop.time() + self._limits.head_seconds  # to take what is written
        self.transport.close()

    @property
    def _is_costly(self) -> bool:
        """Whether it has to take turns with others: a stranger who wants more than most events."""
        is_served = self._strange_bytes < STRANGERS_READ_BYTES and self._refusals < _MOST_REFUSALS
        return not (self.is_trusted or is_served)

    def _wait_for_turn(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._room.turns.wait(self)

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _note_held(self) -> None:
        """Take note of what is kept for the client, but for what is small and soon answered."""
        wire, exchange = self._wire, self._exchange
        held = len(self._unread)
        if exchange is None or not exchange.is_answered:
            held += wire.size + len(wire.headers) * _HEADER_BYTES
            if exchange and exchange.unread_bytes > _MOST_UNREAD:
                self._pause()
        if held > _SMALL or self.held_bytes or not wire.is_whole:
            self._room.hold(self, held)

    def _scope(self) -> Scope:
        wire = self._wire
        if wire.url != self._url:  # nearly all requests of a connection have the same
            try:
                url = httptools.parse_url(wire.url)
            except httptools.HttpParserInvalidURLError:
                raise FaultError(MALFORMED) from None
            if url.path is None:
                raise FaultError(MALFORMED)
            self._raw_path, self._query = url.path, url.query or b""
            self._path = unquote(url.path.decode("ascii"))
            self._url = wire.url
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": wire.version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": wire.method.decode("ascii"),
            "root_path": "",
            "path": self._path,
            "raw_path": self._raw_path,
            "query_string": self._query,
            "headers": wire.headers,
            "sender": self,
        }
