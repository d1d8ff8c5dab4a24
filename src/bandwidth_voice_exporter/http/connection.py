"""HTTP/1.1 on one connection: one request after the other, with an end to everything."""

import time

from bandwidth_voice_exporter.http.carrier import Carrier
from bandwidth_voice_exporter.http.exchange import Exchange
from bandwidth_voice_exporter.http.fault import BROKEN_OFF, LATE, LATE_HEAD, Fault, FaultError
from bandwidth_voice_exporter.http.heads import Head
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.http.wire import Wire

_SMALL = 8 * 1024  # bytes of a whole request for which it is not noted what it takes
# Of the event loop, for a part that a stranger sends: to read it, to pause and go on, to answer.
_READ_SECONDS = 0.00002
_HEADER_BYTES = 150  # that each takes beside its own


class Connection(Carrier):
    """A connection that requests come on, each of them read once the one before it is answered.

    uvicorn's own has a scope, a task and timers for each request, which take longer than counting a
    call, and neither an end to what a request may take nor an order in which strangers go.
    """

    __slots__ = ("_exchange", "_fault", "_is_idle", "_wire")

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._wire = Wire(room.limits, room.heads)
        self._exchange: Exchange | None = None
        self._fault: Fault | None = None  # what the connection ends with after an answer
        self._is_idle = False

    @property
    def is_evictable(self) -> bool:
        """Whether closing it makes room and loses no event, or the client takes no answers."""
        is_free = self._exchange is None or self._exchange.is_answered or self.is_writing_paused
        return is_free and not self.transport.is_closing()

    def end(self) -> None:
        """Close it as its time is over, with an answer where a head was begun."""
        exchange = self._exchange
        if self.transport.is_closing() or self.is_writing_paused:
            self.hang_up()  # its client takes no answer
        elif self._is_idle:
            self._close()
        elif exchange is None:
            self._finish(LATE_HEAD if self._wire.size else LATE)
        else:
            if not (exchange.is_whole or exchange.is_answered):
                self._room.reject("timeout", None)
            self.hang_up()

    def shutdown(self) -> None:
        """Close it after the request that is being answered."""
        if self._exchange is None or self._exchange.is_answered:
            self._close()
        else:
            self._exchange.is_kept_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that waits for the client."""
        exchange, self._exchange = self._exchange, None
        if exchange:
            if not (self._is_over or exchange.is_whole or exchange.is_answered):
                self._room.reject(BROKEN_OFF.reason, None)
            exchange.lose()
        super().connection_lost(exc)
        self._wire.close()

    def take(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._is_over:
            return
        if self._unread or self._wire.is_whole:
            self._unread += data
            self._pause()
            self._note_held()
        elif self.standing.is_trusted:
            self._read(data)
        else:
            self._take_of_stranger(data)

    def eof_received(self) -> bool:
        """Answer whole requests of a client that sends no more."""
        self._left.set()
        exchange = self._exchange
        is_done = exchange is None or exchange.is_answered
        if self._is_over or (is_done and not self._unread):
            return False
        self._is_half_closed = True
        if exchange and not (exchange.is_whole or self._unread):
            self._break_off(BROKEN_OFF)
        return True

    def take_turn(self) -> None:
        """Read on where that had to wait."""
        if self._is_over or not self._is_waiting:  # trusted meanwhile
            return
        self._is_waiting = False
        if self._unread and not self._wire.is_whole:
            self._read_unread()
        else:
            self.read_on()

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
        else:
            if self.held_bytes:
                self._room.hold(self, 0)
            self.read_on()  # what is left, for nobody

    def on_broken_off(self) -> None:
        """End with the fault, as there was no answer."""
        if self._fault:
            self._finish(self._fault)

    def _take_of_stranger(self, data: bytes) -> None:
        began = time.thread_time()
        if self._room.turns.must_wait(self.rank()):
            self._unread = data
            self._pause()
            self._note_held()
            self._wait_for_turn()
        else:
            self.standing.read(len(data))
            self._read(data)
        self.charge(time.thread_time() - began + _READ_SECONDS)

    def _read_stranger(self, data: bytes) -> None:
        self.standing.read(len(data))
        began = time.thread_time()
        self._read(data)
        self.charge(time.thread_time() - began)

    def _read(self, data: bytes) -> None:
        """Read as far as the end of a request."""
        if self._is_idle:
            self._is_idle = False
            self._deadline = self.loop.time() + self._limits.head_seconds
        wire = self._wire
        try:
            place = wire.read(data, 0)
            if self._exchange is None and (head := wire.head):
                self._begin(head)
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

    def _begin(self, head: Head) -> None:
        wire = self._wire
        is_old = head.version == "1.0"
        self._exchange = exchange = Exchange(self, self._scopes.make(head, self))
        if wire.learnable and self.standing.is_trusted:
            self._room.heads.learn(wire.learnable, head)
        if is_old or not head.may_be_followed:
            exchange.is_kept_alive = False
        if wire.is_continue_due and not (is_old or wire.is_whole):
            exchange.is_continue_due = True
        wire.sink = exchange.feed
        if not wire.is_whole:
            self._deadline = self.loop.time() + self._limits.body_seconds
        # Not at once: first read what has come on other connections, then answer all. The same code
        # for many requests in a row runs from the processor's cache.
        self.loop.call_soon(self._run, exchange)

    def _run(self, exchange: Exchange) -> None:
        if exchange is not self._exchange:
            return  # the client has gone
        if self.standing.is_trusted:
            self._room.run(exchange.run(self._room.app))
            return
        began = time.thread_time()
        self._room.run(exchange.run(self._room.app))
        if not self.standing.is_trusted:
            self.charge(time.thread_time() - began)

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
        if self._unread and self.standing.is_costly:
            self._wait_for_turn()
        elif self._unread:
            self.loop.call_soon(self._read_unread)
        elif self._is_half_closed:
            self._close()
        elif self._is_reading_paused:
            self.read_on()

    def _read_unread(self) -> None:
        if self._is_over:
            return
        data, self._unread = self._unread, b""
        if self.standing.is_trusted:
            self._read(data)
        else:
            self._read_stranger(data)
        if not self._is_half_closed:
            if not (self._exchange and self._exchange.has_much_unread):
                self.read_on()
        elif self._exchange is None:
            self._close()
        elif not self._exchange.is_whole:
            self._break_off(BROKEN_OFF)

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

    def _note_held(self) -> None:
        """Take note of the bytes kept for the client, unless they are few and soon answered."""
        wire, exchange = self._wire, self._exchange
        held = len(self._unread)
        if exchange is None or not exchange.is_answered:
            held += wire.size + len(wire.headers) * _HEADER_BYTES
            if exchange and exchange.has_much_unread:
                self._pause()
        if held > _SMALL or self.held_bytes or not wire.is_whole:
            self._room.hold(self, held)
