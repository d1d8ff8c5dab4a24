"""HTTP/1.1 on one connection, with an end to everything that uvicorn waits for without one."""

from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http.connection import Connection

_MOST_PIPELINED = 50


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


class BoundedProtocol(Connection):
    """A connection that knows until when it may stay as it is.

    Deadlines are times, not timers: who owns the connections looks at all of them now and then,
    and a request costs no timer.
    """

    def __init__(
        self,
        app: ASGIApp,
        state: ServerState,
        *,
        limits: Limits,
        reject: Reject,
        is_eager: bool = False,
    ) -> None:
        super().__init__(app, state, is_eager=is_eager)
        self._limits = limits
        self._reject = reject
        self._is_idle = False
        self._head_bytes = 0
        self.since = self.loop.time()
        self.deadline = self.since + limits.head_seconds

    @property
    def is_unread(self) -> bool:
        """Whether no request of it is read or being answered: closing it loses no event."""
        return self.is_all_answered and not self.is_body_open

    @property
    def is_evictable(self) -> bool:
        """Whether closing it makes room and loses no event, or the client takes no answers."""
        return (self.is_all_answered or self.is_deaf) and not self.transport.is_closing()

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
            self.give_up()

    def evict(self) -> None:
        """Close it for others, before a request is read."""
        self._reject("overload", None)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.transport.is_closing():
            return
        if self._is_idle:
            self._is_idle = False
            self._begin_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > self._limits.head_bytes and self.is_unread:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers")

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, but not for ever."""
        super().pause_writing()
        self.since = self.loop.time()
        self.deadline = self.since + self._limits.body_seconds

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        super().resume_writing()
        self.deadline = float("inf")
        if self.is_unread:
            self._rest()

    def on_headers_complete(self) -> None:
        """Begin with a request whose headers are within the limits."""
        if self.has_offer():
            return
        self.is_body_open = True
        self.deadline = self.loop.time() + self._limits.body_seconds
        if self.transport.is_closing():
            return
        if len(self.headers) > self._limits.headers:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers")
        elif self.pipelined >= _MOST_PIPELINED:
            self.evict()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the answer as long as it takes."""
        if self.is_offer:
            return
        self.is_body_open = False
        self._head_bytes = 0
        self.deadline = float("inf")
        if not self.transport.is_closing():
            super().on_message_complete()
            if self.is_unread:  # answered before it was whole
                self._rest()

    def on_answered(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        super().on_answered()
        if self.transport.is_closing():
            self._begin_head()  # as long for the answer to be taken
        elif self.is_unread:
            self._rest()

    def on_malformed(self) -> None:
        """Answer what is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "http")

    def _begin_head(self) -> None:
        self.since = self.loop.time()
        self.deadline = self.since + self._limits.head_seconds

    def _rest(self) -> None:
        self._is_idle = True
        self.since = self.loop.time()
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
