"""The room that a listener's connections share, over all of its addresses."""

import asyncio
import heapq
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from bandwidth_voice_exporter.http.borrowed import ServerState
from bandwidth_voice_exporter.http.eager import Eager
from bandwidth_voice_exporter.http.fault import Fault
from bandwidth_voice_exporter.http.heads import Heads
from bandwidth_voice_exporter.http.limits import Terms
from bandwidth_voice_exporter.http.turns import Rank, Turns
from bandwidth_voice_exporter.logs import Log

if TYPE_CHECKING:
    from bandwidth_voice_exporter.http.admission import Admission
    from bandwidth_voice_exporter.http.carrier import Carrier
    from bandwidth_voice_exporter.http.connection import Connection

_FULL = "too many connections: new ones wait"
_MALFORMED = "a GET or POST that is no right HTTP was refused: an event would be lost"

_READ_BYTES = 64 * 1024
# At once from a stranger: nearly all events are smaller, and a turn is short whatever is in it.
STRANGERS_READ_BYTES = 4 * 1024
_MADE_AT_ONCE = 32  # places: each takes a closing
# For which nobody looks for room again, as that goes over all connections: those that wait for it
# come back a little later.
_FULL_SECONDS = 0.019
_MOST_KNOWN = 4096  # addresses


class Room:
    """The application, the limits, and the memory and places that all connections share.

    If room is short, some connections are closed: strangers before others.
    """

    def __init__(
        self, app: ASGIApp, terms: Terms, state: ServerState, log: Log | None = None
    ) -> None:
        self.app = app
        self.limits = terms.limits
        self.reject = terms.reject
        self._log = log or Log()
        self.state = state
        self.turns = Turns()
        self.heads = Heads()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.set_result(None)
        self.admissions: list[Admission] = []  # connections that are none yet
        # One for all: what is read is copied out of it before anything else is.
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.small_buffer = self.buffer[:STRANGERS_READ_BYTES]
        self._is_eager = terms.is_eager
        self._max_connections = terms.max_connections
        self._overflow = terms.overflow
        self._full_until = 0.0
        self._most_held = terms.held_bytes
        self._held_bytes = 0
        self._known: set[str] = set()  # where right credentials have come from

    @property
    def connections(self) -> Iterable["Connection"]:
        """The connections that are open."""
        return self.state.connections  # type: ignore[return-value]  # no others are put there

    @property
    def free(self) -> int:
        """How many more connections there may be."""
        pending = sum(map(len, self.admissions))
        return self._max_connections - len(self.state.connections) - pending

    @property
    def overflow(self) -> int:
        """How many more may be accepted though there is no room for them."""
        return self._overflow + self.free - sum(one.waiting for one in self.admissions)

    @property
    def is_nearly_full(self) -> bool:
        """Whether a client that is refused again had better go."""
        return self.free * 8 <= self._max_connections

    def run(self, answering: Coroutine[Any, None, None]) -> None:
        """Have a request answered."""
        running: set[Any] = self.state.tasks
        if self._is_eager:
            Eager(answering, running).run()
        else:
            task = asyncio.get_running_loop().create_task(answering)
            running.add(task)
            task.add_done_callback(running.discard)

    def find(self) -> int:
        """Return for how many more connections there is room, closing others for it if need be.

        Strangers go first, the oldest before the others.
        """
        places = self.free
        if places <= 0:
            places = self._make()
        if not places and self._log.is_due(_FULL):
            self._log.warning(_FULL, connections=len(self.state.connections))
        return places

    def remember(self, client: str) -> None:
        """Take note of where right credentials come from."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(client)

    def knows(self, client: str) -> bool:
        """Whether right credentials have come from there."""
        return client in self._known

    def rank(self, client: str) -> Rank:
        """Return how soon a client that has had nothing yet comes to its turn."""
        return Rank.KNOWN if self.knows(client) else Rank.NEW

    def refuse(self, fault: Fault, client: str) -> None:
        """Count a request that is not read on; tell of one that may be an event."""
        self.reject(fault.reason, fault.status)
        if fault.may_be_event and self._log.is_due(_MALFORMED):
            self._log.warning(_MALFORMED, client=client)

    def _make(self) -> int:
        now = asyncio.get_running_loop().time()
        if now < self._full_until:
            return 0
        over = -self.free
        free = [one for one in self.connections if one.is_evictable]
        closed = _first(_MADE_AT_ONCE, (one for one in free if not one.standing.is_spared(now)))
        if not closed:
            most = min(over + 1, _MADE_AT_ONCE)
            closed = _first(most, (one for one in free if not one.standing.is_young(now)))
        if not closed:
            self._full_until = now + _FULL_SECONDS
        for connection in closed:
            connection.evict()
        return max(0, len(closed) - over)

    def hold(self, connection: "Carrier", held: int) -> None:
        """Take note of the bytes that are kept for a connection's unfinished request."""
        self._held_bytes += held - connection.held_bytes
        connection.held_bytes = held
        if self._held_bytes > self._most_held:
            # Choosing takes as long as some closings, and all of it is one turn.
            after = self._most_held // 64 * 63
            holding = (one for one in self.connections if one.held_bytes or one.cipher_bytes)
            for one in sorted(holding, key=_order):
                if self._held_bytes <= after:
                    break
                one.evict()

    def release(self, connection: "Carrier") -> None:
        """Keep nothing for a connection any more. Closes no other: it is called by what does."""
        self._held_bytes -= connection.held_bytes + connection.cipher_bytes
        connection.held_bytes = connection.cipher_bytes = 0

    def cipher(self, connection: "Carrier", held: int) -> None:
        """Take note of what TLS takes for a stranger's connection."""
        self._held_bytes += held - connection.cipher_bytes
        connection.cipher_bytes = held
        self.hold(connection, connection.held_bytes)


def _order(one: "Connection") -> tuple[bool, float]:
    return one.standing.order


def _first(most: int, connections: Iterable["Connection"]) -> list["Connection"]:
    return heapq.nsmallest(most, connections, key=_order)
