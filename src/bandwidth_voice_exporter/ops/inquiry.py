"""Asking Prometheus or Alertmanager which alerts fire, within a time and a size."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

import httptools

from bandwidth_voice_exporter.meanwhile import meanwhile
from bandwidth_voice_exporter.ops.firing import (
    ALERTMANAGER,
    PROMETHEUS,
    Firing,
    NoAlertsError,
    read,
)
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.voice import now

_EVERY = 10.0  # seconds between an answer and the next question
_PATIENCE = 5.0  # seconds for an answer, from the look-up of the name to its last byte
_MOST_BYTES = 2 * 1024 * 1024  # of an answer, its head included
_PIECE = 64 * 1024


class _InquiryError(Exception):
    """No answer that tells of alerts; the message is a sentence's end, without a client's text."""


class _Response:
    """An answer as httptools parses it: its status and body."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.is_whole = False
        self.parser = httptools.HttpResponseParser(self)

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return int(self.parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Note its end."""
        self.is_whole = True


@contextlib.asynccontextmanager
async def inquiring(url: str | None, state: State) -> AsyncIterator[None]:
    """Ask again and again meanwhile, if there is a URL; the state has the last answer."""
    if url is None:
        yield
        return
    async with meanwhile(_ask_on(url, state)):
        yield


async def _ask_on(url: str, state: State) -> None:
    path = ALERTMANAGER
    while True:
        try:
            state.firing, path = await _asked(url, path)
        except _InquiryError as error:
            state.firing = Firing(now(), problem=str(error))
        await asyncio.sleep(_EVERY)


async def _asked(url: str, path: str) -> tuple[Firing, str]:
    """Return what fires, and the path that told it: the other program's if this one has it not."""
    other = PROMETHEUS if path == ALERTMANAGER else ALERTMANAGER
    for asked in (path, other):
        status, body = await _answer(url, asked)
        if status == HTTPStatus.NOT_FOUND and asked == path:
            continue
        if status != HTTPStatus.OK:
            raise _InquiryError(f"it answered {status}")
        try:
            return await asyncio.to_thread(read, body, asked, now()), asked
        except NoAlertsError:
            break
    raise _InquiryError("its answer tells of no alerts: is it a Prometheus or an Alertmanager?")


async def _answer(url: str, path: str) -> tuple[int, bytes]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _exchanged(urlsplit(url), path)
    except TimeoutError:
        raise _InquiryError(f"it did not answer within {_PATIENCE:g} s") from None
    except ssl.SSLError:
        raise _InquiryError("TLS failed, or its certificate is not trusted") from None
    except (OSError, EOFError, UnicodeError):  # the last for a name that DNS cannot have
        raise _InquiryError("it cannot be reached") from None
    except httptools.HttpParserError:
        raise _InquiryError("its answer is not HTTP") from None


async def _exchanged(place: SplitResult, path: str) -> tuple[int, bytes]:
    secure = ssl.create_default_context() if place.scheme == "https" else None
    port = place.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(place.hostname, port, ssl=secure)
    try:
        writer.write(
            f"GET {place.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {place.netloc}\r\n"
            f"Accept: application/json\r\nConnection: close\r\n\r\n".encode()
        )
        response = _Response()
        size = 0
        while not response.is_whole and (piece := await reader.read(_PIECE)):
            size += len(piece)
            if size > _MOST_BYTES:
                raise _InquiryError(f"its answer is larger than {_MOST_BYTES >> 20} MiB")
            response.parser.feed_data(piece)
        if not (response.is_whole or response.body):
            raise EOFError
        return response.status, bytes(response.body)
    finally:
        writer.transport.abort()
