"""Connections to a handler: while none can be had, one request tries at a time."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.tracing import Trace

# Shorter than handlers keep a connection (Node.js 5 s), so that it is not closed just when used.
_KEEP_ALIVE_SECONDS = 4.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries
_DISTRUST_SECONDS = 1.0
# Of an answer, that the kernel keeps, and that may come at once: a handler can send without end.
_RECEIVE_BYTES = 8 * 1024


class Connector(aiohttp.TCPConnector):
    """A pool of at most so many connections; ``on_away`` is called where a try has failed.

    Requests wait, in their order, until the handler can be reached again: each trying for itself,
    hundreds of them would take the time of all else, and of the handler that comes back. A handler
    whose TLS failed is left alone for a second, as a handshake takes milliseconds.
    """

    def __init__(self, most: int, on_away: Callable[[], None]) -> None:
        super().__init__(
            limit=most, keepalive_timeout=_KEEP_ALIVE_SECONDS, socket_factory=_socket_of
        )
        self._on_away = on_away
        self._turn = asyncio.Lock()
        self._pause = 0.0
        self._due = 0.0
        self._distrust: aiohttp.ClientSSLError | None = None

    @property
    def is_away(self) -> bool:
        """Whether the last try has failed."""
        return self._pause > 0

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # as aiohttp calls it
    ) -> Connection:
        """Return a connection, however long it takes. Raises ClientSSLError."""
        while True:
            async with self._turn:  # which goes to one of those that wait in a turn of the loop
                if self.is_away:
                    await self._until_due()
                    pause = min(2 * self._pause, _LONGEST_PAUSE)
                    if found := await self._try(super().connect(req, traces, timeout), pause):
                        return found
                    continue
            if found := await self._try(super().connect(req, traces, timeout), _FIRST_PAUSE):
                return found

    async def _until_due(self) -> None:
        pause = self._due - self._loop.time()
        if pause > 0:
            if self._distrust:
                raise self._distrust.with_traceback(None)
            await asyncio.sleep(pause)

    async def _try(self, coming: Awaitable[Connection], pause: float) -> Connection | None:
        try:
            found = await coming
        except aiohttp.ClientSSLError as error:
            self._fail(_DISTRUST_SECONDS)
            self._distrust = error
            raise
        except (aiohttp.ClientConnectorError, TimeoutError):
            self._fail(pause)
            self._distrust = None
            return None
        self._pause = 0.0
        return found

    def _fail(self, pause: float) -> None:
        self._pause = pause
        self._due = self._loop.time() + pause
        self._on_away()


def _socket_of(address: AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    return made
