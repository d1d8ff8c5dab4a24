"""The process: two listeners on one event loop, opened and closed in order."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
import uvloop
from starlette.types import ASGIApp

from bandwidth_voice_exporter import ops, restart, webhook
from bandwidth_voice_exporter.auth import Credentials
from bandwidth_voice_exporter.instruments import Instruments
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import Settings
from bandwidth_voice_exporter.storage import Claim
from bandwidth_voice_exporter.values import Address

_BACKLOG = 2048
_ANY = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104  # asked for with ":PORT"
# Together they stay below the 10 s that a container has before it is killed.
_WEBHOOK_GRACE = 5  # seconds for requests in flight
_OPS_GRACE = 2


class ListenError(OSError):
    """An address that cannot be listened on; the message names the flag."""


class _Server(uvicorn.Server):
    """One listener; signals belong to the process, which has two."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings, log: Log, welcome: Callable[[Address, Address], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``welcome`` is called once both listeners are open.

    Raises ListenError, StorageError and StoreError where it cannot begin.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, log, welcome))


async def _serve(settings: Settings, log: Log, welcome: Callable[[Address, Address], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    instruments = Instruments()
    state = ops.State()
    credentials = _credentials(settings, log, instruments)
    scrape = ops.Scrape(state, instruments, settings.labels_application)
    private_app = ops.application(settings.web_telemetry_path, scrape, state, settings.webhook_path)
    with (
        _claimed(settings) as claim,
        _bound(settings.webhook_listen_address, "webhook.listen-address") as public,
        _bound(settings.web_listen_address, "web.listen-address") as private,
    ):
        async with (
            _listening(private_app, private, _OPS_GRACE),
            restart.opened(claim, settings, instruments, log) as (ledger, tally),
        ):
            state.tally = tally
            state.is_healthy = ledger.is_up
            log.info("ops listener ready", address=_address(private))
            receiver = webhook.Webhook(
                ledger=ledger,
                counted=instruments,
                credentials=credentials,
                max_body_bytes=settings.webhook_max_body_bytes,
                log=log,
            )
            public_app = webhook.application(
                settings.webhook_path, receiver, instruments, state.is_ready
            )
            async with _listening(public_app, public, _WEBHOOK_GRACE):
                log.info("webhook listener ready", address=_address(public))
                welcome(_address(public), _address(private))
                await stop.wait()
                log.info("stopping")
                state.is_stopping = True
    log.info("stopped")


@contextlib.asynccontextmanager
async def _listening(app: ASGIApp, sock: socket.socket, grace: int) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # a GET delivery carries phone numbers in its URL
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=grace,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _bound(address: Address, flag: str) -> Iterator[socket.socket]:
    """Take an address without listening on it yet: who connects too early is refused."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host or _ANY,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(address.host)))
        sock.bind(target)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such host"
        raise ListenError(f"--{flag} {address}: {reason}") from error
    with sock:
        yield sock


def _address(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return Address(host, port)


@contextlib.contextmanager
def _claimed(settings: Settings) -> Iterator[Claim | None]:
    if settings.storage_path is None:
        yield None
        return
    claim = Claim(settings.storage_path, allow_network_fs=settings.storage_allow_network_fs)
    try:
        yield claim
    finally:
        claim.release()


def _credentials(settings: Settings, log: Log, instruments: Instruments) -> Credentials | None:
    if not settings.is_authenticated:
        log.warning("the webhook listener takes events from anybody who reaches it")
        return None
    fixed = (settings.webhook_credential,) if settings.webhook_credential else ()
    return Credentials(
        fixed,
        settings.webhook_credentials_file,
        log,
        on_load=instruments.credentials_loaded.set,
    )
