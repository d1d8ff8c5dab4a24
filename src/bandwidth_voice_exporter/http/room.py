"""What the connections of one listener share, and who goes when it is short."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from bandwidth_voice_exporter.http.borrowed import ServerState
from bandwidth_voice_exporter.http.limits import Terms
from bandwidth_voice_exporter.http.turns import Turns

if TYPE_CHECKING:
    from bandwidth_voice_exporter.http.connection import Connection

_READ_BYTES = 64 * 1024
# At once from a stranger: nearly all events are smaller, and a turn is short whatever is in it.
STRANGERS_READ_BYTES = 4 * 1024
_MOST_HELD = 64 * 1024 * 1024  # bytes of all unfinished heads and bodies
_HELD_AFTER = _MOST_HELD // 8 * 7  # some were given up


class Room:
    """The application, the limits, and what all connections together may take."""

    def __init__(self, app: ASGIApp, terms: Terms, state: ServerState) -> None:
        self.app = app
        self.limits = terms.limits
        self.reject = terms.reject
        self.is_eager = terms.is_eager
        self.state = state
        self.turns = Turns()
        self.pending: Callable[[], int] = _none  # connections that are none yet
        # One for all: what is read is copied out of it before anything else is.
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.small_buffer = self.buffer[:STRANGERS_READ_BYTES]
        self._max_connections = terms.max_connections
        self._held_bytes = 0

    @property
    def connections(self) -> Iterable["Connection"]:
        """Those that are open."""
        return self.state.connections  # type: ignore[return-value]  # no others are put there

    @property
    def free(self) -> int:
        """How many more connections there may be."""
        return self._max_connections - len(self.state.connections) - self.pending()

    @property
    def is_nearly_full(self) -> bool:
        """Whether who is refused again had better go."""
        return self.free * 8 <= self._max_connections

    def make_room(self, most: int) -> int:
        """Close connections that no event is read on; return how many.

        Strangers go first, the oldest before the others.
        """
        now = asyncio.get_running_loop().time()
        idle = (one for one in self.connections if one.is_evictable and not one.is_spared(now))
        closed = _in_order(idle)[:most]
        for connection in closed:
            connection.evict()
        return len(closed)

    def hold(self, connection: "Connection", held: int) -> None:
        """Take note of the bytes that are kept for a connection's unfinished request."""
        self._held_bytes += held - connection.held_bytes
        connection.held_bytes = held
        if self._held_bytes > _MOST_HELD:
            for one in _in_order(one for one in self.connections if one.held_bytes):
                if self._held_bytes <= _HELD_AFTER:
                    break
                one.evict()


def _in_order(connections: Iterable["Connection"]) -> list["Connection"]:
    return sorted(connections, key=lambda one: (one.is_trusted, one.since))


def _none() -> int:
    return 0
