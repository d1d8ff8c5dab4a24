"""The process: two listeners on one event loop, opened and closed in order."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
import uvloop
from msgspec import structs

from bandwidth_voice_exporter import open_files, ops, signals, webhook
from bandwidth_voice_exporter.http import (
    Clients,
    Hosts,
    Protected,
    Reading,
    Security,
    Terms,
    Watch,
    address_of,
    bound,
    listening,
    reading,
    security,
    watching,
)
from bandwidth_voice_exporter.ledger import (
    FILE,
    Claim,
    Fingerprints,
    Lookup,
    NotingLedger,
    Reader,
    ReadError,
    StoreError,
    kept_secret,
    looked_into,
    new_secret,
    opened,
)
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import MINUTE, Instruments
from bandwidth_voice_exporter.open_files import Room
from bandwidth_voice_exporter.settings import LOCALHOST, Address, Settings, SettingsError
from bandwidth_voice_exporter.version import version
from bandwidth_voice_exporter.voice import SECOND, Clock, Pseudonyms, now

if TYPE_CHECKING:
    from bandwidth_voice_exporter import forward

# Together they stay below the 10 s that a container has before it is killed.
_WEBHOOK_GRACE = 5  # seconds for requests in flight
_RECALL_SECONDS = 3.0
_OPS_GRACE = 2


class CannotCompareError(Exception):
    """Bandwidth's list, or the ledger, could not be read; the message says why."""


class Files(msgspec.Struct, frozen=True):
    """What the files say that are followed afterwards: who may send, and TLS and users."""

    credentials: Reading[tuple[str, ...]] | None
    public: Reading[security.Loaded]
    private: Reading[security.Loaded]


def read_files(settings: Settings) -> Files:
    """Read them. Raises CredentialsError and WebConfigError."""
    credentials_file = settings.webhook_credentials_file
    return Files(
        credentials=(
            reading(partial(webhook.read_credentials, credentials_file))
            if credentials_file
            else None
        ),
        public=security.load(settings.webhook_config_file, may_have_users=False),
        private=security.load(settings.web_config_file, may_have_users=True),
    )


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
    if settings.reconcile_account:
        _reconcile().checked(settings)


def _forward() -> ModuleType:
    try:
        from bandwidth_voice_exporter import forward  # noqa: PLC0415  # an extra: for who asks
    except ModuleNotFoundError as error:
        raise _needs(error, "--forward.url and --forward.route", "forward") from None
    return forward


def _reconcile() -> ModuleType:
    try:
        from bandwidth_voice_exporter import reconcile  # noqa: PLC0415  # as above
    except ModuleNotFoundError as error:
        raise _needs(error, "--reconcile.account", "reconcile") from None
    return reconcile


def _needs(error: ModuleNotFoundError, flags: str, extra: str) -> SettingsError:
    verb = "need" if " and " in flags else "needs"
    return SettingsError(
        f"{flags} {verb} {error.name}: pip install 'bandwidth-voice-exporter[{extra}]'"
    )


def _public_terms(settings: Settings, room: Room, instruments: Instruments) -> Terms:
    terms = Terms(room.webhook, _WEBHOOK_GRACE, instruments.refused, is_eager=True)
    limits = terms.limits
    body_bytes = settings.webhook_max_body_bytes
    if settings.handlers:
        body_bytes = max(body_bytes, settings.forward_max_body_bytes)
    largest = 2 * (body_bytes + limits.head_bytes)  # in small chunks
    request_bytes = max(limits.request_bytes, largest)
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


@contextlib.asynccontextmanager
async def _reconciling(  # noqa: PLR0913  # what it works with, each by name
    settings: Settings,
    ledger: NotingLedger,
    reader: Reader | None,
    *,
    pseudonyms: Pseudonyms,
    clock: Clock,
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[None]:
    if not settings.reconcile_account or reader is None:
        yield
        return
    async with _reconcile().reconciling(
        settings,
        ledger=ledger,
        reader=reader,
        pseudonyms=pseudonyms,
        clock=clock,
        counted=instruments,
        log=log,
    ):
        yield


def report(settings: Settings, seconds: float) -> str:
    """Compare the calls of some seconds until now with Bandwidth's list; return what is found.

    Raises SettingsError and CannotCompareError.
    """
    directory = settings.storage_path
    if not settings.reconcile_account or directory is None:
        raise SettingsError("reconcile: there is no --reconcile.account")
    reconcile = _reconcile()
    try:
        found = asyncio.run(
            reconcile.report(
                settings,
                seconds,
                reader=looked_into(directory),
                pseudonyms=Pseudonyms(kept_secret(directory)),
                clock=now,
            )
        )
    except (reconcile.AskError, ReadError, StoreError) as error:
        raise CannotCompareError(str(error)) from None
    return f"{found.text()}\n{found.summary()}\n"


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
    fingerprints = Fingerprints()
    path = settings.storage_path
    reader = Reader(path / FILE, fingerprints) if path else None
    credentials = _credentials(settings, files.credentials, log, instruments)
    private_security = _security(settings.web_config_file, files.private, "ops", log, instruments)
    public_security = _security(
        settings.webhook_config_file, files.public, "webhook", log, instruments
    )
    followed = [file for file in (credentials, private_security, public_security) if file]

    def read_again() -> None:
        log.info("reading files again")
        for file in followed:
            file.read_again()

    signals.attend(stop.set, read_again)
    with (
        _claimed(settings) as claim,
        bound(settings.webhook_listen_address, "webhook.listen-address") as public,
        bound(settings.web_listen_address, "web.listen-address") as private,
    ):
        site = _site(
            settings,
            url(address_of(public[0]), has_tls=public_security.tls is not None),
            address_of(private[0]),
            has_tls=private_security.tls is not None,
            notice=room.notice,
        )
        pages = ops.Pages(
            state=state,
            instruments=instruments,
            lookup=Lookup(reader, settings.labels_application) if reader else None,
            names=settings.labels_application,
            site=site,
            has_users=lambda: bool(private_security.users()),
            is_public=settings.web_pages_public,
            hosts=_hosts(settings),
            clients=clients,
        )
        scrape = ops.Scrape(state, instruments, settings.labels_application, clock)
        private_app = Protected(
            ops.application(site, scrape, state, pages.routes()),
            private_security.users,
            log,
        )
        async with (
            watching([file.look for file in followed], log),
            listening(
                private_app,
                private,
                Terms(room.ops, _OPS_GRACE, lambda *_: None),
                log,
                tls=private_security.tls,
            ),
            opened(
                claim,
                settings,
                fingerprints=fingerprints,
                clock=clock,
                counted=instruments,
                log=log,
            ) as (ledger, tally),
            _forwarding(settings, room, instruments, log) as relays,
        ):
            history = ops.History(tally)
            state.tally, state.history = tally, history
            state.is_healthy = ledger.is_up
            for sock in private:
                log.info("ops listener ready", address=address_of(sock))
            pseudonyms = Pseudonyms(claim.secret if claim else new_secret())
            intake = webhook.Intake(ledger, pseudonyms, clock)
            receivers = {
                path: webhook.Webhook(
                    intake=intake,
                    counted=instruments,
                    credentials=credentials,
                    max_body_bytes=settings.webhook_max_body_bytes,
                    proxies=settings.webhook_trusted_proxies,
                    clients=clients,
                    log=log,
                    relay=relays.get(path),
                )
                for path in (settings.webhook_path, *relays)
            }
            public_app = webhook.application(
                settings.webhook_path,
                receivers.pop(settings.webhook_path),
                instruments,
                state.is_ready,
                receivers,
            )
            async with (
                history.recalling(_recall(reader, settings, log)),
                listening(
                    public_app,
                    public,
                    _public_terms(settings, room, instruments),
                    log,
                    tls=public_security.tls,
                ),
                _reconciling(
                    settings,
                    ledger,
                    reader,
                    pseudonyms=pseudonyms,
                    clock=clock,
                    instruments=instruments,
                    log=log,
                ),
            ):
                gc.freeze()  # what is loaded stays: looking through all of it takes 15 ms
                for sock in public:
                    log.info("webhook listener ready", address=address_of(sock))
                welcome(address_of(public[0]), address_of(private[0]))
                await stop.wait()
                log.info("stopping")
                state.is_stopping = True
    log.info("stopped")


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


def _site(
    settings: Settings, webhook_origin: str, address: Address, *, has_tls: bool, notice: str
) -> ops.Site:
    kept = ops.Kept(settings.storage_retention, settings.storage_retention_normal)
    return ops.Site(
        route_prefix=settings.web_route_prefix,
        link_prefix=settings.web_link_prefix,
        external_url=settings.web_external_url,
        telemetry_path=settings.web_telemetry_path,
        webhook_path=settings.webhook_path,
        webhook_url=f"{webhook_origin}{settings.webhook_path}",
        webhook_needs_credentials=settings.is_authenticated,
        address=address,
        has_tls=has_tls,
        version=version(),
        kept=kept if settings.storage_path else None,
        notices=(f"{notice}.",) if notice else (),
    )


def _hosts(settings: Settings) -> Hosts:
    machine = socket.gethostname()
    external = settings.web_external_url
    return Hosts(
        [
            machine,
            machine.partition(".")[0],
            *(address.host for address in settings.web_listen_address),
            *((external.host,) if external else ()),
            *settings.web_allowed_host,
        ]
    )


def _recall(reader: Reader | None, settings: Settings, log: Log) -> ops.Recall:
    """Return how the minutes before the start are looked up, of which none is pruned yet."""
    kept = round(min(settings.storage_retention, settings.storage_retention_normal) * SECOND)

    def recall(since: int, before: int) -> Mapping[int, ops.Causes]:
        if reader is None:
            return {}
        try:
            return reader.minutes(max(since, before - kept + MINUTE), before, _RECALL_SECONDS)
        except ReadError as error:
            log.warning("the hour before the start cannot be looked up", reason=str(error))
            return {}

    return recall


def _security(
    path: Path | None,
    first: Reading[security.Loaded],
    listener: str,
    log: Log,
    instruments: Instruments,
) -> Security:
    return Security(
        path,
        first,
        log,
        listener=listener,
        may_have_users=listener == "ops",
        on_load=instruments.web_config_loaded.labels(listener).set,
        on_handshake_error=instruments.tls_handshake_errors.labels(listener).inc,
    )


def _credentials(
    settings: Settings, first: Reading[tuple[str, ...]] | None, log: Log, instruments: Instruments
) -> webhook.Credentials | None:
    if not settings.is_authenticated:
        log.warning("the webhook listener takes events from anybody who reaches it")
        return None
    fixed = (settings.webhook_credential,) if settings.webhook_credential else ()
    file = settings.webhook_credentials_file
    return webhook.Credentials(
        fixed,
        Watch(first, partial(webhook.read_credentials, file)) if first and file else None,
        log,
        on_load=instruments.credentials_loaded.set,
    )
