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
    """Lets connections in by turns. An event loop's own server takes all that wait at once."""

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
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        sock.settimeout(0)
        self._watch()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def close(self) -> None:
        """Accept nothing more."""
        self._is_closed = True
        self._loop.remove_reader(self._sock)
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def take_turn(self) -> None:
        """Accept some, and come back where there are more."""
        if self._is_closed:
            return
        began = time.thread_time()
        accepted = self._accept()
        self._room.turns.charge(time.thread_time() - began)
        if accepted == _ACCEPTED_AT_ONCE:
            self._room.turns.wait(self, Rank.KNOWN)
        elif accepted is None:
            self._loop.call_later(_RETRY_SECONDS, self._watch)
        else:
            self._watch()

    def _watch(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._sock, self._on_readable)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._sock)
        if self._room.turns.must_wait(Rank.KNOWN):
            self._room.turns.wait(self, Rank.KNOWN)
        else:
            self.take_turn()

    def _accept(self) -> int | None:
        """Return how many were accepted; None where no more can be for a while."""
        places = min(self._room.find(), _ACCEPTED_AT_ONCE)
        for number in range(places):
            try:
                connection, _ = self._sock.accept()
            except BlockingIOError:
                return number
            except OSError:  # gone before it was accepted, or no file is left for it
                return None
            task = self._loop.create_task(self._admit(connection))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return places or None

    async def _admit(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        with suppress(OSError):  # gone before it was admitted
            await self._loop.connect_accepted_socket(self._connect, connection)
