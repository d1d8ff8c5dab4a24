"""Taking connections off a listening socket, no more of them than there is room and time for."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypedDict

from bandwidth_voice_exporter.http.room import Room

_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 1.0  # that a client has to agree to the end
_RETRY_SECONDS = 0.1
# Seconds: rather one after some than many short ones, each of which a busy machine prolongs.
_LEAST_PAUSE = 0.02
_GRACE_SECONDS = 1.0  # for which none is given up


class _Options(TypedDict, total=False):
    ssl: ssl.SSLContext | None
    ssl_handshake_timeout: float
    ssl_shutdown_timeout: float


class Admission:
    """Lets connections in one by one; with TLS, those count that have not begun to speak.

    An event loop's own server takes all that wait at once, and with TLS tells of one only after its
    handshake: clients that never begin one would be as many as they like.
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
        sock.setblocking(False)  # noqa: FBT003  # the only way to say it
        self._accepting = self._loop.create_task(self._accept())

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
        """Accept nothing more; what is under way has lost its time."""
        self._accepting.cancel()
        self._sock.close()
        for task in self._under_way:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(self._accepting, *self._under_way, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            if not self._room.find():
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if (delay := self._room.turns.delay()) > _LEAST_PAUSE:
                await asyncio.sleep(delay)
            try:
                connection, _ = await self._loop.sock_accept(self._sock)
            except OSError:  # gone before it was accepted, or no file is left for it
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if self._tls:
                task = self._loop.create_task(self._admit(connection, self._options))
                self._under_way[task] = self._loop.time()
                task.add_done_callback(self._under_way.pop)
            else:  # which takes no time
                await self._admit(connection, {})

    async def _admit(self, connection: socket.socket, options: _Options) -> None:
        try:
            await self._loop.connect_accepted_socket(self._connect, connection, **options)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):  # a handshake that fails is the client's affair
                raise
