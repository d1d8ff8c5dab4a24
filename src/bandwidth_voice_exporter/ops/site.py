"""The addresses of everything."""

import socket

import msgspec

from bandwidth_voice_exporter.http import Hosts
from bandwidth_voice_exporter.ops.kept import Kept
from bandwidth_voice_exporter.settings import Address, Settings, Url
from bandwidth_voice_exporter.version import version


class Site(msgspec.Struct, frozen=True):
    """The addresses of everything, for links and for commands to copy from the page.

    Paths begin with ``route_prefix``, and for browsers, whose proxy may cut it, with
    ``link_prefix``. ``notices`` are sentences about the start that stay true until the end.
    """

    route_prefix: str
    link_prefix: str
    external_url: Url | None
    telemetry_path: str
    webhook_path: str
    webhook_url: str
    webhook_needs_credentials: bool
    address: Address
    has_tls: bool
    version: str
    kept: Kept | None
    shows_alerts: bool = False
    notices: tuple[str, ...] = ()


def site_of(
    settings: Settings, webhook_origin: str, address: Address, *, has_tls: bool, notice: str
) -> Site:
    """Return what settings make of it, and the listeners as they are bound."""
    kept = Kept(settings.storage_retention, settings.storage_retention_normal)
    return Site(
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
        kept=kept if settings.keeps_calls else None,
        shows_alerts=settings.web_alerts_url is not None,
        notices=(f"{notice}.",) if notice else (),
    )


def hosts_of(settings: Settings) -> Hosts:
    """Return the names that pages are asked for by."""
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
