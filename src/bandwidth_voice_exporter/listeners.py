"""The two listeners, and their common parts."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import structs

from bandwidth_voice_exporter import ops, webhook
from bandwidth_voice_exporter.followed import Files, Followed
from bandwidth_voice_exporter.http import (
    Clients,
    Protected,
    Terms,
    address_of,
    listening,
)
from bandwidth_voice_exporter.ledger import Fingerprints, Lookup, Reader, reader_of
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.open_files import OpenFiles
from bandwidth_voice_exporter.settings import EVERY_IPV4, EVERY_IPV6, LOCALHOST, Address, Settings
from bandwidth_voice_exporter.voice import Clock

if TYPE_CHECKING:
    from bandwidth_voice_exporter import forward

# Together they stay below the 10 s that a container has before it is killed.
_WEBHOOK_GRACE, _OPS_GRACE = 5, 2  # seconds for requests in flight


class Parts(msgspec.Struct, frozen=True):
    """The parts that both listeners share."""

    settings: Settings
    room: OpenFiles
    log: Log
    followed: Followed
    fingerprints: Fingerprints
    reader: Reader | None
    instruments: Instruments
    clients: Clients
    clock: Clock
    state: ops.State

    @classmethod
    def of(cls, settings: Settings, files: Files, room: OpenFiles, log: Log) -> Self:
        """Return them at the start."""
        instruments, fingerprints = Instruments(), Fingerprints()
        return cls(
            settings,
            room,
            log,
            Followed(settings, files, log, instruments),
            fingerprints,
            reader_of(settings, fingerprints),
            instruments,
            Clients(settings.webhook_trusted_proxies),
            Clock(),
            ops.State(),
        )


def private_listener(
    parts: Parts, sockets: Sequence[socket.socket], webhook_address: Address
) -> AbstractAsyncContextManager[None]:
    """Serve metrics, health and pages."""
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
    scrape = ops.Scrape(
        parts.state,
        parts.instruments,
        names,
        parts.clock,
        has_natives=settings.metrics_native_histograms,
    )
    application = ops.application(site, scrape, parts.state, pages.routes())
    return listening(
        Protected(application, security.users, parts.log),
        sockets,
        Terms(parts.room.ops, _OPS_GRACE, lambda *_: None),
        parts.log,
        tls=security.tls,
    )


def public_listener(
    parts: Parts,
    sockets: Sequence[socket.socket],
    intake: webhook.Intake,
    relays: Mapping[str, "forward.Relay"],
) -> AbstractAsyncContextManager[None]:
    """Serve the webhook, and the paths that are passed on."""
    settings = parts.settings
    receivers = {
        path: webhook.Webhook(
            intake=intake,
            instruments=parts.instruments,
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


def _public_terms(settings: Settings, room: OpenFiles, instruments: Instruments) -> Terms:
    terms = Terms(
        room.webhook, _WEBHOOK_GRACE, instruments.refused, is_eager=True, overflow=room.overflow
    )
    limits = terms.limits
    body_bytes = settings.webhook_max_body_bytes
    if settings.handlers:
        body_bytes = max(body_bytes, settings.forward_max_body_bytes)
    request_bytes = max(limits.request_bytes, 2 * (body_bytes + limits.head_bytes))  # small chunks
    return structs.replace(terms, limits=structs.replace(limits, request_bytes=request_bytes))


def url(address: Address, *, has_tls: bool) -> str:
    """Return a listener's address for clients on this machine."""
    wildcards = {EVERY_IPV4: "127.0.0.1", EVERY_IPV6: LOCALHOST}
    reachable = Address(wildcards.get(address.host, address.host), address.port)
    return f"{'https' if has_tls else 'http'}://{reachable}"
