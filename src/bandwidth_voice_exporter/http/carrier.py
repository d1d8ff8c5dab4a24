"""Carries requests and answers: bytes both ways, and an end to every wait for a client."""

import asyncio
import time
from http import HTTPStatus

from bandwidth_voice_exporter.http.fault import Fault
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.http.scopes import Scopes
from bandwidth_voice_exporter.http.standing import Standing
from bandwidth_voice_exporter.http.turns import Rank

_NEVER = float("inf")
_CONNECTION_SECONDS = 0.0001  # that a connection takes beside its requests, about


class Carrier(asyncio.BufferedProtocol):
    """A connection as far as its bytes are concerned, whatever they mean.

    Deadlines are times, not timers: the connections' owner looks at all of them now and then, and
    a request costs no timer. One that is set is only ever replaced by the next.
    """

    __slots__ = (
        *(
            "transport",
            "loop",
            "done",
            "is_writing_paused",
            "held_bytes",
            "cipher_bytes",
            "standing",
            "_room",
            "_limits",
            "_scopes",
        ),
        *("_deadline", "_drain_by", "_is_over", "_is_half_closed", "_is_reading_paused"),
        *("_is_waiting", "_unread", "_drained", "_left"),
    )

    transport: asyncio.Transport
    _scopes: Scopes

    def __init__(self, room: Room) -> None:
        self.loop = asyncio.get_running_loop()
        self.done = room.done
        self.is_writing_paused = False
        self.held_bytes = 0
        self.cipher_bytes = 0
        now = self.loop.time()
        # The event loop's clock stands still while it lets several in: the oldest is to go first.
        self.standing = Standing(time.monotonic())
        self._room = room
        self._limits = room.limits
        self._deadline = now + room.limits.head_seconds
        self._drain_by = _NEVER
        self._is_over = False
        self._is_half_closed = False
        self._is_reading_paused = False
        self._is_waiting = False
        self._unread = b""  # bytes behind a request that is not answered yet
        self._drained = asyncio.Event()
        self._left = asyncio.Event()

    def is_overdue(self, now: float) -> bool:
        """Whether its time is over."""
        return now >= self._deadline or now >= self._drain_by

    def evict(self) -> None:
        """Close it for others."""
        self._room.reject("overload", None)
        self._let_go()
        self.hang_up()

    def hang_up(self) -> None:
        """Close it at once, without an answer."""
        self._is_over = True
        self.transport.abort()

    async def left(self) -> None:
        """Wait until the client sends no more, or has gone."""
        await self._left.wait()

    async def drained(self) -> None:
        """Wait while writing is paused, until the client has drained its answer."""
        await self._drained.wait()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.transport = transport
        self._scopes = Scopes(transport)
        self.charge(_CONNECTION_SECONDS)
        self._room.state.connections.add(self)  # type: ignore[arg-type]  # has the methods needed

    def make_ready(self) -> None:
        """Begin with requests: a handshake has its time, and the first head its own."""
        self._deadline = self.loop.time() + self._limits.head_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that waits for the client."""
        del exc
        self._room.state.connections.discard(self)
        self._let_go()
        self._is_over = True
        self._drained.set()
        self._left.set()
        # Each would keep the other, with what TLS has, until somebody looks for garbage.
        self.transport = _GONE

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that every answer has."""
        return self._room.state.default_headers

    def may_stay_refused(self, status: int) -> bool:
        """Whether the connection is kept though a request on it is refused.

        Bandwidth may ask first, be refused for want of credentials, and come again with them on the
        same connection. A client that is refused again and again stays while there is room.
        """
        now = self.loop.time()
        is_asked = status == HTTPStatus.UNAUTHORIZED
        return self.standing.refuse(now, is_asked=is_asked) or not self._room.is_nearly_full

    def trust(self) -> None:
        """Take note of right credentials: others go first where there is not enough for all."""
        standing = self.standing
        if not standing.is_trusted:
            self._room.remember(self._scopes.client)
            if self.cipher_bytes:
                self._room.cipher(self, 0)
            self._room.turns.charge(-standing.seconds)  # that were none of a stranger's
            standing.seconds = 0.0
        standing.trust(self.loop.time())
        if self._is_waiting:
            self.take_turn()

    def take_turn(self) -> None:
        """Read on where that had to wait."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Take bytes from the client."""
        raise NotImplementedError

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say how much to read at once."""
        del sizehint
        return self._room.buffer if self.standing.is_trusted else self._room.small_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes from the socket."""
        self.take(self._room.buffer[:nbytes].tobytes())

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, but not for ever."""
        self.is_writing_paused = True
        self._drain_by = self.loop.time() + self._limits.body_seconds
        self._drained.clear()

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        self.is_writing_paused = False
        self._drain_by = _NEVER
        self._drained.set()

    def read_on(self) -> None:
        """Read what the client sends, unless something is to be done before."""
        if not self._is_reading_paused:
            return
        if not (self._is_waiting or self._unread or self._is_half_closed or self._is_over):
            self._is_reading_paused = False
            self.transport.resume_reading()

    def charge(self, seconds: float) -> None:
        """Take note of the time that a client costs, which may be a stranger."""
        self.standing.seconds += seconds
        self._room.turns.charge(seconds)

    def _wait_for_turn(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._room.turns.wait(self, self.rank())

    def rank(self) -> Rank:
        """How soon it is its turn."""
        return Rank.COSTLY if self.standing.is_costly else self._room.rank(self._scopes.client)

    def _let_go(self) -> None:
        self._room.release(self)

    def _pause(self) -> None:
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self.transport.pause_reading()

    def _finish(self, fault: Fault) -> None:
        self._room.refuse(fault, self._scopes.client)
        if fault.status:
            self.transport.write(_answer(fault.status))
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self._deadline = self.loop.time() + self._limits.head_seconds  # to take what is written
        self.transport.close()


class _Gone(asyncio.Transport):
    """The transport to a client that has gone."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


_GONE = _Gone()


def _answer(status: HTTPStatus) -> bytes:
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ).encode()
