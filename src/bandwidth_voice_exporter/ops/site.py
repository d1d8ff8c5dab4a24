"""Where everything is."""

import msgspec

from bandwidth_voice_exporter.ops.kept import Kept
from bandwidth_voice_exporter.settings import Address, Url


class Site(msgspec.Struct, frozen=True):
    """Where everything is, for links and for what is to be copied from the page.

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
    notices: tuple[str, ...] = ()
