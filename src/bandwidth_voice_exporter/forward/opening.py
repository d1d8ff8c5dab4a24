"""Forwarding as it is set: handlers by path, with what they are trusted and told by."""

import base64
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bandwidth_voice_exporter.forward.handler import Destination, Handler, trusted
from bandwidth_voice_exporter.forward.relay import Relay, Terms
from bandwidth_voice_exporter.http import is_local_name
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.settings import Settings, SettingsError

_HELD_BYTES = 32 * 1024 * 1024  # of requests that wait for one handler
_PRODUCT = "bandwidth-voice-exporter"


class Checked(msgspec.Struct, frozen=True):
    """What the files say: an Authorization header in place of the sender's, and whom to trust."""

    authorization: str | None
    tls: ssl.SSLContext


def checked(settings: Settings) -> Checked:
    """Read what the settings name. Raises SettingsError."""
    file = settings.forward_credentials_file
    authority = settings.forward_ca_file
    try:
        tls = trusted(authority)
    except OSError as error:  # an SSLError too
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(f"--forward.ca-file {authority}: {reason}") from None
    return Checked(_authorization(file) if file else None, tls)


@asynccontextmanager
async def opened(
    settings: Settings, connections: int, counted: Instruments, log: Log
) -> AsyncIterator[Mapping[str, Relay]]:
    """Yield what each path's requests are passed on by, of so many connections at once.

    Raises SettingsError.
    """
    files = checked(settings)
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
            _warn(url, log, has_credentials=bool(files.authorization) or settings.is_authenticated)
            handler = await stack.enter_async_context(
                Handler(Destination(path, url), name, files.authorization, files.tls, terms.most)
            )
            relays[path] = Relay(
                route=path, handler=handler, name=name, terms=terms, counted=counted, log=log
            )
        yield relays


def _warn(url: str, log: Log, *, has_credentials: bool) -> None:
    parts = urlsplit(url)
    if has_credentials and parts.scheme == "http" and not is_local_name(parts.netloc):
        log.warning("credentials go to a handler over plain http", handler=parts.hostname)


def _authorization(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"--forward.credentials-file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"--forward.credentials-file {file}: not UTF-8") from None
    pairs = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(pairs) != 1 or not all(pairs[0].partition(":")):
        raise SettingsError(f"--forward.credentials-file {file}: not one line user:password")
    return f"Basic {base64.b64encode(pairs[0].encode()).decode()}"
