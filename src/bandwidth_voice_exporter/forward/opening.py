"""Forwarding as it is configured: handlers by path, with their credentials and certificates."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from bandwidth_voice_exporter.forward.connector import Connector
from bandwidth_voice_exporter.forward.handler import Destination, Handler
from bandwidth_voice_exporter.forward.keys import Keys
from bandwidth_voice_exporter.forward.relay import Relay, RelayTerms
from bandwidth_voice_exporter.http import is_local_name
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.settings import Settings

_HELD_BYTES = 32 * 1024 * 1024  # of requests that wait for one handler
_PRODUCT = "bandwidth-voice-exporter"


@asynccontextmanager
async def opened(
    settings: Settings,
    keys: Keys,
    connections: int,
    instruments: Instruments,
    log: Log,
) -> AsyncIterator[Mapping[str, Relay]]:
    """Yield what each path's requests are passed on by, of so many connections at once."""
    name = f"{_PRODUCT}-{secrets.token_hex(4)}"  # of this process: another's is no loop
    terms = RelayTerms(
        seconds=settings.forward_timeout,
        # Some connections are left for requests that are not passed on, and for the other paths.
        most=max(1, connections // (len(settings.handlers) + 1)),
        event_bytes=settings.webhook_max_body_bytes,
        request_bytes=settings.forward_max_body_bytes,
        held_bytes=max(_HELD_BYTES, settings.forward_max_body_bytes),
        is_lenient=settings.forward_on_failure == "204",
    )
    for host in overheard(settings):
        log.warning("credentials go to a handler over plain http", handler=host)
    async with AsyncExitStack() as stack:
        relays = {}
        for path, url in settings.handlers.items():
            counted = instruments.bear_route(path)
            connector = Connector(terms.most, partial(counted.up.set, 0))
            handler = await stack.enter_async_context(
                Handler(Destination(path, url), name, keys, connector)
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


def overheard(settings: Settings) -> list[str]:
    """Return the handlers' hosts that credentials go to over plain http."""
    if settings.forward_credentials_file is None and not settings.is_authenticated:
        return []
    handlers = map(urlsplit, settings.handlers.values())
    return [
        one.hostname or ""
        for one in handlers
        if one.scheme == "http" and not is_local_name(one.netloc)
    ]
