"""One HTTP/1.1 connection, kept alive between requests."""

import asyncio
from contextlib import suppress

import httptools
import msgspec

from bandwidth_voice_exporter.simulate.target import WebhookTarget

_OK, _MULTIPLE_CHOICES = 200, 300  # the first statuses after 1xx and 2xx
_READ_BYTES = 65536
# Below the 5 s after which common servers close: a request sent into that moment would be lost.
_IDLE_SECONDS = 3.0
_CLOSE_SECONDS = 2.0


class Answer(msgspec.Struct, frozen=True):
    """The status that came back, or the name of what prevented it."""

    status: int | None = None
    error: str | None = None
    connection_lost: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the webhook was taken."""
        return self.status is not None and _OK <= self.status < _MULTIPLE_CHOICES


class WebhookClient:
    """Sends requests to a target one after the other, connecting anew whenever it has to."""

    def __init__(self, target: WebhookTarget, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._complete = False
        self._reusable = False
        self._status: int | None = None
        self._used_at = 0.0

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer; no failure of the other side is raised."""
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await self._open()
                writer.write(request)
                await writer.drain()
                status = await self._read(reader)
        # A TimeoutError is an OSError, but the other side may well have the event: no retry.
        except TimeoutError as error:
            self._abandon()
            return Answer(error=type(error).__name__)
        except OSError as error:
            self._abandon()
            return Answer(error=type(error).__name__, connection_lost=True)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._abandon()
            return Answer(error=type(error).__name__)
        except asyncio.CancelledError:
            self._abandon()
            raise
        self._used_at = asyncio.get_running_loop().time()
        if not self._reusable:
            await self.close()
        return Answer(status=status)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        writer.close()
        with suppress(OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await writer.wait_closed()

    def on_message_begin(self) -> None:
        """Forget the message before; the parser calls this."""
        self._status = None

    def on_headers_complete(self) -> None:
        """Note the status, unless it announces another one; the parser calls this."""
        status = self._parser.get_status_code()
        self._status = status if status >= _OK else None

    def on_message_complete(self) -> None:
        """Note the end of the answer; the parser calls this."""
        self._complete = self._status is not None
        # To be asked here: after the message the parser has forgotten its headers.
        self._reusable = self._complete and self._parser.should_keep_alive()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._complete = self._reusable = False
        self._status = None
        if self._streams is not None:
            idle = asyncio.get_running_loop().time() - self._used_at
            if idle < _IDLE_SECONDS and not self._streams[0].at_eof():
                return self._streams
            await self.close()
        self._parser = httptools.HttpResponseParser(self)
        target = self._target
        self._streams = await asyncio.open_connection(target.host, target.port, ssl=target.tls)
        return self._streams

    async def _read(self, reader: asyncio.StreamReader) -> int:
        while not self._complete:
            data = await reader.read(_READ_BYTES)
            if data:
                self._parser.feed_data(data)
            elif self._status is not None:
                break  # an answer that only the end of the connection ends
            else:
                raise ConnectionResetError("closed without an answer")
        if self._status is None:
            raise ConnectionResetError("closed without an answer")
        return self._status

    def _abandon(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
