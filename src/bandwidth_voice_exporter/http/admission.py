"""Taking connections off a listening socket, no more of them than there is room and time for."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.http.turns import Rank

_RETRY_SECONDS = 0.02
_ACCEPTED_AT_ONCE = 32


class Admission:
    """Lets connections in by turns. An event loop's own server takes all that wait at once.

    Without room some are accepted all the same, as only then it shows where they come from: where
    that is known for right credentials they are let in, and the others wait in their order.
    """

    def __init__(
        self,
        sock: socket.socket,
        connect: Callable[[], asyncio.BaseProtocol],
        room: Room,
    ) -> None:
        self._sock = sock
        self._connect = connect
        self._room = room
        self._under_way: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[socket.socket, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        sock.settimeout(0)
        self._watch()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    @property
    def waiting(self) -> int:
        """How many are accepted and wait for room."""
        return len(self._waiting)

    def close(self) -> None:
        """Accept nothing more."""
        self._is_closed = True
        self._rest()
        self._sock.close()
        for connection, _ in self._waiting:
            connection.close()
        self._waiting.clear()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def take_turn(self) -> None:
        """Accept some, and come back where there are more."""
        if self._is_closed:
            return
        began = time.thread_time()
        places = min(self._room.find(), _ACCEPTED_AT_ONCE)
        accepted = self._accept(places)
        self._room.turns.charge(time.thread_time() - began)
        if accepted == _ACCEPTED_AT_ONCE or (places and self._waiting):
            self._room.turns.wait(self, Rank.KNOWN)
            return
        if accepted is not None:
            self._watch()
        if accepted is None or self._waiting:
            self._timer = self._loop.call_later(_RETRY_SECONDS, self._retry)

    def _watch(self) -> None:
        self._loop.add_reader(self._sock, self._come_back)

    def _rest(self) -> None:
        self._loop.remove_reader(self._sock)
        if self._timer:
            self._timer.cancel()

    def _retry(self) -> None:
        if self._waiting:
            self._come_back()
        else:
            self._watch()

    def _come_back(self) -> None:
        self._rest()
        if self._room.turns.must_wait(Rank.KNOWN):
            self._room.turns.wait(self, Rank.KNOWN)
        else:
            self.take_turn()

    def _accept(self, places: int) -> int | None:
        """Return how many were accepted; None where no more can be for a while."""
        waiting, self._waiting = self._waiting, []
        for connection, host in waiting:
            self._receive(connection, host, places)
            places -= 1
        for number in range(_ACCEPTED_AT_ONCE):
            if places <= 0 and self._room.overflow <= 0:
                return number or None
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:
                return number
            except OSError:  # gone before it was accepted, or no file is left for it
                return None
            self._receive(connection, address[0], places)
            places -= 1
        return _ACCEPTED_AT_ONCE

    def _receive(self, connection: socket.socket, host: str, places: int) -> None:
        if places <= 0 and not self._room.knows(host):
            self._waiting.append((connection, host))
            return
        task = self._loop.create_task(self._admit(connection))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _admit(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        with suppress(OSError):  # gone before it was admitted
            await self._loop.connect_accepted_socket(self._connect, connection)
