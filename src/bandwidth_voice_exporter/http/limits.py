"""A listener's limits: all connections together, and each one."""

from collections.abc import Callable
from http import HTTPStatus

import msgspec

from bandwidth_voice_exporter.metrics import RejectionReason

# Called with why, and the status where one was answered.
Reject = Callable[[RejectionReason, HTTPStatus | None], None]


class Bounds(msgspec.Struct, frozen=True):
    """Seconds, bytes and numbers for one connection, each with an end.

    ``head_seconds`` is for a request's line and headers, from the connection's start or the first
    byte after an answer; ``body_seconds`` for the rest, and for a client to take what is written;
    ``answer_seconds`` for the application; ``idle_seconds`` for the time between an answer and the
    next request, longer than the 600 s for which Google's load balancers keep a connection: this
    side must not be the first to close. ``request_bytes`` are all that one request takes on the
    wire, whatever part they are in, refused or not.
    """

    head_seconds: float = 10.0
    body_seconds: float = 20.0
    answer_seconds: float = 60.0
    idle_seconds: float = 620.0
    head_bytes: int = 80 * 1024
    headers: int = 100  # and trailers
    chunks: int = 4096
    trailer_bytes: int = 8 * 1024
    request_bytes: int = 1024 * 1024


class Terms(msgspec.Struct, frozen=True):
    """A listener's terms: connections at once, limits for each, seconds to end in.

    ``overflow`` bounds the connections that are accepted beyond ``max_connections``: they wait, or
    are let in where right credentials have come from their address. ``held_bytes`` bounds all
    unfinished heads and bodies. All of these are over all of its addresses.
    ``is_eager`` is for an application that awaits nothing but futures: no request has a task.
    """

    max_connections: int
    grace: int
    reject: Reject
    limits: Bounds = Bounds()
    is_eager: bool = False
    overflow: int = 0
    held_bytes: int = 48 * 1024 * 1024
