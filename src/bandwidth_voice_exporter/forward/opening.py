"""Forwarding as it is set: handlers by path, with what they are trusted and told by."""

import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from bandwidth_voice_exporter.forward.authorization import Authorization
from bandwidth_voice_exporter.forward.connector import Connector
from bandwidth_voice_exporter.forward.handler import Destination, Handler
from bandwidth_voice_exporter.forward.relay import Relay, Terms
from bandwidth_voice_exporter.http import is_local_name
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.settings import Settings, SettingsError

_HELD_BYTES = 32 * 1024 * 1024  # of requests that wait for one handler
_PRODUCT = "bandwidth-voice-exporter"


def trusted(settings: Settings) -> ssl.SSLContext:
    """Return how handlers' certificates are checked. Raises SettingsError."""
    authority = settings.forward_ca_file
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # an SSLError too
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(f"--forward.ca-file {authority}: {reason}") from None


def authorization(settings: Settings, log: Log) -> Authorization | None:
    """Return what handlers are told in place of the sender's credentials; None: they get those.

    Raises AuthorizationError.
    """
    file = settings.forward_credentials_file
    return Authorization(file, log) if file else None


@asynccontextmanager
async def opened(
    settings: Settings,
    own: Authorization | None,
    connections: int,
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[Mapping[str, Relay]]:
    """Yield what each path's requests are passed on by, of so many connections at once.

    Raises SettingsError.
    """
    tls = trusted(settings)
    name = f"{_PRODUCT}-{secrets.token_hex(4)}"  # of this process: another's is no loop
    terms = Terms(
        seconds=settings.forward_timeout,
        # Some connections are left to what is not passed on, and to the other paths.
        most=max(1, connections // (len(settings.handlers) + 1)),
        event_bytes=settings.webhook_max_body_bytes,
        request_bytes=settings.forward_max_body_bytes,
        held_bytes=max(_HELD_BYTES, settings.forward_max_body_bytes),
        is_lenient=settings.forward_on_failure == "204",
    )
    async with AsyncExitStack() as stack:
        relays = {}
        for path, url in settings.handlers.items():
            _warn(url, log, has_credentials=own is not None or settings.is_authenticated)
            counted = instruments.bear_route(path)
            connector = Connector(terms.most, tls, partial(counted.up.set, 0))
            handler = await stack.enter_async_context(
                Handler(Destination(path, url), name, own, connector)
            )
            relays[path] = Relay(
                route=path,
                handler=handler,
                name=name,
                terms=terms,
                instruments=instruments,
                counted=counted,
                log=log,
            )
        yield relays


def _warn(url: str, log: Log, *, has_credentials: bool) -> None:
    parts = urlsplit(url)
    if has_credentials and parts.scheme == "http" and not is_local_name(parts.netloc):
        log.warning("credentials go to a handler over plain http", handler=parts.hostname)
