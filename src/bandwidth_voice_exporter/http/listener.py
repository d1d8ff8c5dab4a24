"""An open port: connections in bounded number, each for a bounded time."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from starlette.types import ASGIApp

from bandwidth_voice_exporter.http.admission import Admission
from bandwidth_voice_exporter.http.borrowed import Config, Server, ServerState
from bandwidth_voice_exporter.http.ciphered import Ciphered
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.limits import Terms
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import EVERY_IPV4, EVERY_IPV6, LOCALHOST, Address

_BACKLOG = 2048
_LOOPBACKS = ("127.0.0.1", "::1")
_ANY = EVERY_IPV6 if socket.has_dualstack_ipv6() else EVERY_IPV4  # asked for with ":PORT"
# uvicorn ticks ten times a second. Clients that come back as soon as they are closed must not do
# so by the thousand.
_ENDS_A_TICK = 150


class ListenError(OSError):
    """An address that cannot be listened on; the message names the flag."""


@contextlib.contextmanager
def bound(addresses: Iterable[Address], flag: str) -> Iterator[list[socket.socket]]:
    """Take addresses without listening on them yet: a client that connects too early is refused.

    Raises ListenError.
    """
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for address in addresses:
            if address.host != LOCALHOST:
                sockets.append(stack.enter_context(_bound(address, flag)))
                continue
            port = address.port
            for host in _loopbacks():
                sock = stack.enter_context(_bound(Address(host, port), flag))
                port = address_of(sock).port
                sockets.append(sock)
        yield sockets


def _loopbacks() -> list[str]:
    """Return this machine's own addresses of each family that it has."""
    return [host for host in _LOOPBACKS if _is_here(host)] or [_LOOPBACKS[0]]


def _is_here(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _bound(address: Address, flag: str) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as stack:
        try:
            family, kind, protocol, _, target = socket.getaddrinfo(
                address.host or _ANY,
                address.port,
                type=socket.SOCK_STREAM,
                flags=socket.AI_PASSIVE,
            )[0]
            sock = stack.enter_context(socket.socket(family, kind, protocol))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # As in Go: [::] is every address of both families, 0.0.0.0 those of IPv4.
                sock.setsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(target[0] != EVERY_IPV6)
                )
            sock.bind(target)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "no such host"
            failure = ListenError(f"--{flag} {address}: {reason}")
            failure.errno = error.errno if isinstance(error, OSError) else None
            raise failure from error
        yield sock


def address_of(sock: socket.socket) -> Address:
    """Return the address that a socket is bound to."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


@contextlib.asynccontextmanager
async def listening(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    terms: Terms,
    log: Log,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Serve an application on bound sockets, which share the connections of the terms.

    Raises ListenError where another program listens.
    """
    room = Room(app, terms, ServerState(), log)
    stacks = [contextlib.AsyncExitStack() for _ in sockets]
    try:
        for stack, sock in zip(stacks, sockets, strict=True):
            await stack.enter_async_context(_listening(room, sock, terms.grace, tls))
        yield
    finally:
        await asyncio.gather(*(stack.aclose() for stack in stacks))


@contextlib.asynccontextmanager
async def _listening(
    room: Room, sock: socket.socket, grace: int, tls: ssl.SSLContext | None
) -> AsyncIterator[None]:
    try:
        sock.listen(_BACKLOG)
    except OSError as error:
        raise ListenError(f"{address_of(sock)}: {error.strerror}") from error
    config = Config(
        room.app,
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # a GET delivery carries phone numbers in its URL
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace,
    )
    server = _Server(config, sock, room, tls)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(Server):
    """One listening socket; signals belong to the process, which has several."""

    def __init__(
        self,
        config: Config,
        sock: socket.socket,
        room: Room,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(config)
        self.server_state = room.state
        self._room = room
        self._sock = sock
        self._tls = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        del sockets
        await self.lifespan.startup()
        admission = Admission(self._sock, self._connect, self._room)
        self._room.admissions.append(admission)
        self.servers = [admission]  # type: ignore[list-item]  # it closes as they do
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Close overdue connections, and forget the heads that were remembered long enough."""
        began, now = time.thread_time(), asyncio.get_running_loop().time()
        overdue = (one for one in self._room.connections if one.is_overdue(now))
        for connection in list(islice(overdue, _ENDS_A_TICK)):
            connection.end()
        self._room.heads.look(now)
        self._room.turns.charge(time.thread_time() - began)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse connections from now on, answer requests in flight."""
        await super().shutdown(sockets)
        self._room.turns.close()

    def _connect(self) -> asyncio.BufferedProtocol:
        connection = Connection(self._room)
        return Ciphered(connection, self._tls, self._room) if self._tls else connection
