"""Accepting TLS connections, with those counted that have not begun to speak."""

import asyncio
import socket
import ssl
from collections.abc import Callable

_SECONDS = 10.0
_SHUTDOWN_SECONDS = 1.0  # that a client has to agree to the end
_RETRY_SECONDS = 0.1
_GRACE_SECONDS = 1.0  # for which none is given up


class Handshakes:
    """Takes connections off a listening socket while there is room, and shakes hands with each.

    An event loop's own server tells of a connection only after its handshake: clients that never
    begin one would be as many as they like.
    """

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext,
        connect: Callable[[], asyncio.BaseProtocol],
        has_room: Callable[[], bool],
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._connect = connect
        self._has_room = has_room
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
        for task in self._under_way:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(self._accepting, *self._under_way, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            if not self._has_room():
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            try:
                connection, _ = await self._loop.sock_accept(self._sock)
            except OSError:  # gone before it was accepted, or no file is left for it
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            task = self._loop.create_task(self._shake(connection))
            self._under_way[task] = self._loop.time()
            task.add_done_callback(self._under_way.pop)

    async def _shake(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._connect,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):  # a handshake that fails is the client's affair
                raise
