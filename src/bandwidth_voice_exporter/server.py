"""The process: two listeners on one event loop, opened and closed in order."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
import uvloop
from msgspec import structs

from bandwidth_voice_exporter import open_files, ops, signals, webhook
from bandwidth_voice_exporter.followed import Files, Followed
from bandwidth_voice_exporter.http import (
    Clients,
    Protected,
    Terms,
    address_of,
    bound,
    listening,
    watching,
)
from bandwidth_voice_exporter.ledger import (
    FILE,
    Claim,
    Lookup,
    Reader,
    new_secret,
    opened,
)
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.open_files import Room
from bandwidth_voice_exporter.settings import LOCALHOST, Address, Settings, SettingsError
from bandwidth_voice_exporter.voice import Clock, Pseudonyms, now

if TYPE_CHECKING:
    from bandwidth_voice_exporter import forward

# Together they stay below the 10 s that a container has before it is killed.
_WEBHOOK_GRACE, _OPS_GRACE = 5, 2  # seconds for requests in flight


def run(
    settings: Settings, files: Files, log: Log, welcome: Callable[[Address, Address], None]
) -> None:
    """Serve until a signal ends it; ``welcome`` is called once both listeners are open.

    Raises OpenFilesError, ListenError, StorageError and StoreError where it cannot begin, and
    SettingsError as check() does.
    """
    room = open_files.room(settings.webhook_max_connections, settings.files_each)
    if room.notice:
        log.warning("fewer connections than set", reason=room.notice)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, files, room, log, welcome))


def check(settings: Settings) -> None:
    """Look at what only running would show otherwise. Raises SettingsError."""
    if settings.handlers:
        _forward().checked(settings)


def _forward() -> ModuleType:
    try:
        from bandwidth_voice_exporter import forward  # noqa: PLC0415  # an extra: for who asks
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--forward.url and --forward.route need {error.name}: "
            f"pip install 'bandwidth-voice-exporter[forward]'"
        ) from None
    return forward


def _public_terms(settings: Settings, room: Room, instruments: Instruments) -> Terms:
    terms = Terms(room.webhook, _WEBHOOK_GRACE, instruments.refused, is_eager=True)
    limits = terms.limits
    body_bytes = settings.webhook_max_body_bytes
    if settings.handlers:
        body_bytes = max(body_bytes, settings.forward_max_body_bytes)
    request_bytes = max(limits.request_bytes, 2 * (body_bytes + limits.head_bytes))  # small chunks
    return structs.replace(terms, limits=structs.replace(limits, request_bytes=request_bytes))


@contextlib.asynccontextmanager
async def _forwarding(
    settings: Settings, room: Room, instruments: Instruments, log: Log
) -> AsyncIterator[Mapping[str, "forward.Relay"]]:
    if not settings.handlers:
        yield {}
        return
    async with _forward().opened(settings, room.webhook, instruments, log) as relays:
        yield relays


class _Parts(msgspec.Struct, frozen=True):
    """What both listeners have in common."""

    settings: Settings
    room: Room
    log: Log
    followed: Followed
    reader: Reader | None
    instruments: Instruments
    clients: Clients
    clock: Clock
    state: ops.State


async def _serve(
    settings: Settings,
    files: Files,
    room: Room,
    log: Log,
    welcome: Callable[[Address, Address], None],
) -> None:
    stop = asyncio.Event()
    instruments = Instruments()
    clock = Clock()
    state = ops.State()
    clients = Clients(settings.webhook_trusted_proxies, now)
    reader = Reader(settings.storage_path / FILE) if settings.storage_path else None
    followed = Followed(settings, files, log, instruments)
    parts = _Parts(settings, room, log, followed, reader, instruments, clients, clock, state)
    signals.attend(stop.set, followed.read_again)
    with (
        _claimed(settings) as claim,
        bound(settings.webhook_listen_address, "webhook.listen-address") as public,
        bound(settings.web_listen_address, "web.listen-address") as private,
    ):
        async with (
            watching([file.look for file in followed.files], log),
            _private_listener(parts, private, address_of(public[0])),
            opened(claim, settings, clock, instruments, log) as (ledger, tally),
            _forwarding(settings, room, instruments, log) as relays,
        ):
            history = ops.History(tally)
            state.tally, state.history = tally, history
            state.is_healthy = ledger.is_up
            for sock in private:
                log.info("ops listener ready", address=address_of(sock))
            intake = webhook.Intake(
                ledger, Pseudonyms(claim.secret if claim else new_secret()), clock
            )
            async with (
                history.recalling(ops.recall_of(reader, settings, log)),
                _public_listener(parts, public, intake, relays),
            ):
                gc.freeze()  # what is loaded stays: looking through all of it takes 15 ms
                for sock in public:
                    log.info("webhook listener ready", address=address_of(sock))
                welcome(address_of(public[0]), address_of(private[0]))
                await stop.wait()
                log.info("stopping")
                state.is_stopping = True
    log.info("stopped")


def _private_listener(
    parts: _Parts, sockets: Sequence[socket.socket], webhook_address: Address
) -> AbstractAsyncContextManager[None]:
    settings, security = parts.settings, parts.followed.private
    site = ops.site_of(
        settings,
        url(webhook_address, has_tls=parts.followed.public.tls is not None),
        address_of(sockets[0]),
        has_tls=security.tls is not None,
        notice=parts.room.notice,
    )
    names = settings.labels_application
    pages = ops.Pages(
        state=parts.state,
        instruments=parts.instruments,
        lookup=Lookup(parts.reader, names) if parts.reader else None,
        names=names,
        site=site,
        has_users=lambda: bool(security.users()),
        is_public=settings.web_pages_public,
        hosts=ops.hosts_of(settings),
        clients=parts.clients,
    )
    scrape = ops.Scrape(parts.state, parts.instruments, names, parts.clock)
    application = ops.application(site, scrape, parts.state, pages.routes())
    return listening(
        Protected(application, security.users, parts.log),
        sockets,
        Terms(parts.room.ops, _OPS_GRACE, lambda *_: None),
        parts.log,
        tls=security.tls,
    )


def _public_listener(
    parts: _Parts,
    sockets: Sequence[socket.socket],
    intake: webhook.Intake,
    relays: Mapping[str, "forward.Relay"],
) -> AbstractAsyncContextManager[None]:
    settings = parts.settings
    receivers = {
        path: webhook.Webhook(
            intake=intake,
            counted=parts.instruments,
            credentials=parts.followed.credentials,
            max_body_bytes=settings.webhook_max_body_bytes,
            proxies=settings.webhook_trusted_proxies,
            clients=parts.clients,
            log=parts.log,
            relay=relays.get(path),
        )
        for path in (settings.webhook_path, *relays)
    }
    application = webhook.application(
        settings.webhook_path,
        receivers.pop(settings.webhook_path),
        parts.instruments,
        parts.state.is_ready,
        receivers,
    )
    return listening(
        application,
        sockets,
        _public_terms(settings, parts.room, parts.instruments),
        parts.log,
        tls=parts.followed.public.tls,
    )


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


def url(address: Address, *, has_tls: bool) -> str:
    """Return a listener's address for who is on this machine."""
    wildcards = {"0.0.0.0": "127.0.0.1", "::": LOCALHOST}  # noqa: S104  # replaced, not bound
    reachable = Address(wildcards.get(address.host, address.host), address.port)
    return f"{'https' if has_tls else 'http'}://{reachable}"
