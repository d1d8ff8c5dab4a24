"""Taking connections off a listening socket, no more of them than there is room and time for."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypedDict

from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.http.turns import Rank

_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 1.0  # that a client has to agree to the end
_RETRY_SECONDS = 0.02
_GRACE_SECONDS = 1.0  # for which none is given up
_ACCEPTED_AT_ONCE = 32
# Processor time of a handshake, about, most of it for the signature.
_CIPHER_SECONDS = 0.001


class _Options(TypedDict, total=False):
    ssl: ssl.SSLContext | None
    ssl_handshake_timeout: float
    ssl_shutdown_timeout: float


class Admission:
    """Lets connections in by turns; with TLS, those count that have not begun to speak.

    An event loop's own server takes all that wait at once, and with TLS tells of one only after its
    handshake: clients that never begin one would be as many as they like, and those that all begin
    theirs at once would have all its time.
    """

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        connect: Callable[[], asyncio.BaseProtocol],
        room: Room,
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._options = _Options(
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        self._connect = connect
        self._room = room
        self._under_way: dict[asyncio.Task[None], float] = {}
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        sock.settimeout(0)
        self._watch()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def give_up(self, most: int) -> int:
        """Hang up on the oldest that are not just begun; return how many."""
        before = self._loop.time() - _GRACE_SECONDS
        late = [task for task, since in self._under_way.items() if since < before][:most]
        for task in late:
            task.cancel()
        return len(late)

    def close(self) -> None:
        """Accept nothing more; the time of pending handshakes is over."""
        self._is_closed = True
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._under_way:
            task.cancel()

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
        self._room.turns.wait(self, Rank.KNOWN)

    def _accept(self) -> int | None:
        """Return how many were accepted; None where no more can be for a while."""
        places = min(self._room.find(), _ACCEPTED_AT_ONCE)
        for number in range(places):
            try:
                connection, (client, *_) = self._sock.accept()
            except BlockingIOError:
                return number
            except OSError:  # gone before it was accepted, or no file is left for it
                return None
            task = self._loop.create_task(self._admit(connection, client))
            self._under_way[task] = self._loop.time()
            task.add_done_callback(self._under_way.pop)
        return places or None

    async def _admit(self, connection: socket.socket, client: str) -> None:
        try:
            connection.settimeout(0)
            if self._tls:
                await self._begun(connection, client)
                await self._loop.connect_accepted_socket(self._connect, connection, **self._options)
            else:
                await self._loop.connect_accepted_socket(self._connect, connection)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):  # a handshake that fails is the client's affair
                raise

    async def _begun(self, connection: socket.socket, client: str) -> None:
        """Wait until a client begins its handshake, and then for its turn at it."""
        come = self._loop.create_future()
        self._loop.add_reader(connection, _end, come)
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await come
        finally:
            self._loop.remove_reader(connection)
        turn = _Turn(self._loop.create_future())
        self._room.turns.wait(turn, self._room.rank(client))
        await turn.come
        self._room.turns.charge(_CIPHER_SECONDS)


class _Turn:
    """A handshake's, which is taken where it waits."""

    __slots__ = ("come",)

    def __init__(self, come: asyncio.Future[None]) -> None:
        self.come = come

    def take_turn(self) -> None:
        """Go on."""
        _end(self.come)


def _end(wait: asyncio.Future[None]) -> None:
    if not wait.done():
        wait.set_result(None)
