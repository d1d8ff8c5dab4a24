"""A handler: the application that a path's requests are for, asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Protocol, Self

import aiohttp
import msgspec
from starlette.types import Scope
from yarl import URL

from bandwidth_voice_exporter.forward import headers
from bandwidth_voice_exporter.forward.connector import Connector
from bandwidth_voice_exporter.forward.delivery import Delivery
from bandwidth_voice_exporter.forward.keys import Keys
from bandwidth_voice_exporter.metrics import ForwardReason

_CONNECT_SECONDS = 3.0
# Of an answer, before it is begun to be passed on: until then it can be asked for once more.
_ANSWER_BYTES = 16 * 1024
_READ_BYTES = 8 * 1024
_HEADER_BYTES = 64 * 1024  # of one: a cookie or a policy may be long
_SMALL_BYTES = 8 * 1024  # of an answer that is passed on as fast as it comes
_PART_SECONDS = 0.001
_MOST_LARGE = 256  # of such answers at once: each takes 70 kB on its way
_FAILING_SECONDS = 1.0  # in which no answer has come: longer than a restart cuts off
_MADE_UP = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_OK = 200


class FailedError(Exception):
    """A try that brought no whole answer."""

    def __init__(self, reason: ForwardReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Reply(Protocol):
    """Takes a handler's answer: its head, then its body in parts."""

    async def begin(self, status: int, own: Sequence[headers.Header]) -> None:
        """Take the head."""
        ...

    async def part(self, body: bytes, *, is_last: bool) -> None:
        """Take a part of the body."""
        ...


class Destination(msgspec.Struct, frozen=True):
    """The URL that a path's requests go to; as in nginx's proxy_pass, its path replaces theirs."""

    path: str
    url: str

    def of(self, scope: Scope) -> URL:
        """Return the URL of a request; its own path and query are not touched."""
        asked = headers.text(scope["raw_path"])
        scheme, _, rest = self.url.partition("://")
        host, slash, instead = rest.partition("/")
        if slash:
            below = asked.removeprefix(self.path) if self.path.endswith("/") else ""
            asked = f"/{instead}{below}"
        query = headers.text(scope["query_string"])
        whole = f"{scheme}://{host}{asked}{'?' if query else ''}{query}"
        return URL(whole, encoded=True)


class Handler:
    """One handler and the connections to it. Use as an asynchronous context.

    ``name`` is this exporter's in Via.
    """

    def __init__(
        self,
        to: Destination,
        name: str,
        keys: Keys,
        connector: Connector,
    ) -> None:
        self._to = to
        self._name = name
        self._keys = keys
        self._connector = connector
        self._turn = asyncio.Lock()
        self._large = 0
        self._cut_off: tuple[float, float] | None = None  # first and last, since an answer came
        self._now = asyncio.get_running_loop().time
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_MADE_UP,
            read_bufsize=_READ_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached when that was tried last."""
        return self._connector.is_away

    @property
    def is_failing(self) -> bool:
        """Whether it has cut off one request after the other for a while."""
        first, last = self._cut_off or (0.0, 0.0)
        return last - first >= _FAILING_SECONDS

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close its connections."""
        await self._session.close()

    async def ask(self, delivery: Delivery, reply: Reply) -> int:
        """Pass a request on and the answer back; return its status.

        Raises FailedError, harmless if the reply has not begun, and the delivery's own errors.
        """
        try:
            status = await self._ask(delivery, reply)
        except aiohttp.ClientError as error:
            if delivery.fault:  # which reading it for the handler has met
                raise delivery.fault from None
            reason = _reason(error)
            if reason == "reset":
                self._note_cut_off()
            raise FailedError(reason) from None
        self._cut_off = None
        return status

    def _note_cut_off(self) -> None:
        now = self._now()
        first, last = self._cut_off or (now, now)
        self._cut_off = (first if now - last < _FAILING_SECONDS else now, now)

    async def _ask(self, delivery: Delivery, reply: Reply) -> int:
        scope = delivery.scope
        own = self._keys.credentials
        sent = headers.of_request(scope, self._name, own.value if own else None)
        data: bytes | AsyncIterator[bytes]
        if delivery.is_whole:
            data = delivery.body
            if not data and scope["method"] == "POST":
                sent["content-length"] = "0"
        else:
            data = delivery.stream()
            if (length := delivery.length) is not None:
                sent["content-length"] = str(length)
        async with self._session.request(
            scope["method"],
            self._to.of(scope),
            headers=sent,
            data=data or None,
            allow_redirects=False,
            ssl=self._keys.certificates.value,
        ) as answer:
            if answer.status < _OK:
                raise FailedError("protocol")
            await self._pass_back(answer, reply)
            return answer.status

    async def _pass_back(self, answer: aiohttp.ClientResponse, reply: Reply) -> None:
        content = answer.content
        body = b""
        while len(body) <= _SMALL_BYTES and (part := await content.readany()):
            body += part
        with self._share() if len(body) > _SMALL_BYTES else nullcontext():
            while _SMALL_BYTES < len(body) <= _ANSWER_BYTES:
                await self._in_turn()
                if not (part := await content.readany()):
                    break
                body += part
            is_whole = content.at_eof()
            head = headers.of_answer(answer.raw_headers)
            if is_whole and not any(header == b"content-length" for header, _ in head):
                head.append((b"content-length", str(len(body)).encode()))
            await reply.begin(answer.status, head)
            await reply.part(body, is_last=is_whole)
            while not is_whole:
                await self._in_turn()
                body = await content.readany()
                is_whole = not body
                await reply.part(body, is_last=is_whole)

    @contextmanager
    def _share(self) -> Iterator[None]:
        """Count a large answer. Raises FailedError if there are too many, each with buffers."""
        if self._large >= _MOST_LARGE:
            raise FailedError("overload")
        self._large += 1
        try:
            yield
        finally:
            self._large -= 1

    async def _in_turn(self) -> None:
        """Wait for a large answer's next part: one in a millisecond, over all of a handler's.

        Thousands of answers without end would take the time of all else.
        """
        async with self._turn:
            await asyncio.sleep(_PART_SECONDS)


def _reason(error: aiohttp.ClientError) -> ForwardReason:
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return "connect"
    cut_off = aiohttp.ClientConnectionError | aiohttp.ClientPayloadError
    return "reset" if isinstance(error, cut_off) else "protocol"
