"""Asking Bandwidth which calls there were: GET alone, on one origin, as often as it lets one."""

import asyncio
import base64
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from bandwidth_voice_exporter.reconcile import http_date, listing, secret
from bandwidth_voice_exporter.reconcile.ask_error import AskError, reason_of, refusal
from bandwidth_voice_exporter.reconcile.link import next_page
from bandwidth_voice_exporter.reconcile.listing import ListEntry, Statistics, UnreadableError
from bandwidth_voice_exporter.voice import SECOND, now

_T = TypeVar("_T")

PAGE = 1000  # calls
_TRIES = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds between two tries, of which some are left out
_LONGEST_WAIT = 600.0  # seconds that Bandwidth may ask for
_REQUEST_SECONDS = 60.0
_ANSWER_BYTES = 32 * 1024 * 1024
_RENEW_SECONDS = 60.0  # before a token ends
_MOST_PAGES = 10_000  # of one question
_FARTHEST = 24 * 3600 * SECOND  # that two clocks may be apart
_NO_TOKEN = frozenset(("invalid", "unauthorized", "forbidden"))
_PASSING = frozenset(("connect", "tls", "timeout", "reset", "rate_limited", "server", "malformed"))


class Account(msgspec.Struct, frozen=True):
    """An account at Bandwidth: the URLs of its calls and of tokens, the file with its secret."""

    account: str
    api: str
    token: str
    credentials: Path


class ListResponse(msgspec.Struct, frozen=True):
    """An answer: its body, and where the next page is."""

    body: bytes
    following: URL | None


class CallsClient:
    """One account's list of calls. Raises AskError where it cannot be had, after some tries.

    ``ahead`` is by how much Bandwidth's clock was ahead of this one when it last answered, in
    microseconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        place: Account,
        clock: Callable[[], int] = now,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ahead = 0
        self._session = session
        self._place = place
        self._origin = URL(place.api).origin()
        self._account = URL(f"{place.api}/accounts/{place.account}")
        self._clock = clock
        self._dice = random.SystemRandom()
        self._monotonic = monotonic
        self._token = ""
        self._until = 0.0

    async def pages(self, since: int, until: int) -> AsyncIterator[list[ListEntry]]:
        """Yield the calls that started between two times (microseconds of Bandwidth's clock)."""
        url: URL | None = (self._account / "calls").with_query(
            minStartTime=_written(since), maxStartTime=_written(until), pageSize=str(PAGE)
        )
        seen: set[URL] = set()
        while url:
            if url in seen or len(seen) == _MOST_PAGES:
                raise AskError("malformed", "the pages have no end")
            seen.add(url)
            found, url = await self._got(url, listing.page)
            yield found

    async def call(self, call_id: str) -> ListEntry | None:
        """Return one call; None where there is none any more."""
        try:
            found, _ = await self._got(self._account / "calls" / call_id, listing.entry)
        except AskError as error:
            if error.reason == "not_found":
                return None
            raise
        return found

    async def statistics(self) -> Statistics:
        """Return how long Bandwidth's queue is, asked once: it is shown as it is now."""
        found, _ = await self._got(self._account / "statistics", listing.statistics, tries=1)
        return found

    async def arrive(self) -> None:
        """Get a token, whose answer tells Bandwidth's time too."""
        await self._patiently(self._bearer)

    async def _got(
        self, url: URL, read: Callable[[bytes], _T], tries: int = _TRIES
    ) -> tuple[_T, URL | None]:
        """Return an answer that can be read, and the next page's URL."""

        async def attempt() -> tuple[_T, URL | None]:
            answer = await self._answer("GET", url, {"Authorization": await self._bearer()})
            return await asyncio.to_thread(_decoded, read, answer.body), answer.following

        return await self._patiently(attempt, tries)

    async def _patiently(self, attempt: Callable[[], Awaitable[_T]], most: int = _TRIES) -> _T:
        """Try until it works, or is not going to."""
        is_renewed, tries = False, 0
        while True:
            try:
                return await attempt()
            except AskError as error:
                if error.reason == "unauthorized" and not is_renewed:
                    is_renewed, self._token = True, ""
                    continue
                tries += 1
                if error.reason not in _PASSING or tries == most:
                    raise
                await asyncio.sleep(self._pause(error, tries))

    async def _bearer(self) -> str:
        """Return what gives access, a new one where the last one ends soon."""
        if not self._token or self._monotonic() >= self._until:
            try:
                pair = await asyncio.to_thread(secret.read, self._place.credentials)
            except secret.SecretError as error:
                raise AskError("credentials", str(error)) from None
            began = self._monotonic()
            try:
                answer = await self._answer(
                    "POST",
                    URL(self._place.token),
                    {"Authorization": f"Basic {_basic(pair)}"},
                    {"grant_type": "client_credentials"},
                )
            except AskError as error:
                if error.reason in _NO_TOKEN:
                    raise AskError("token", error.detail) from None
                raise
            token = _decoded(listing.token, answer.body)
            self._token = token.access_token
            self._until = began + max(1.0, token.expires_in - _RENEW_SECONDS)
        return f"Bearer {self._token}"

    def _pause(self, error: AskError, tries: int) -> float:
        if error.wait is not None:
            if error.wait > _LONGEST_WAIT:
                raise error
            return error.wait + self._dice.random()
        pause: float = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)
        return pause * self._dice.uniform(0.5, 1.0)

    async def _answer(
        self, method: str, url: URL, headers: dict[str, str], data: dict[str, str] | None = None
    ) -> ListResponse:
        try:
            async with (
                asyncio.timeout(_REQUEST_SECONDS),
                self._session.request(
                    method, url, headers=headers, data=data, allow_redirects=False
                ) as answer,
            ):
                body = await _body(answer)
                if answer.status != HTTPStatus.OK:
                    raise refusal(answer, body)
                self._compare_clocks(answer.headers.get("Date", ""))
                return ListResponse(body, next_page(answer, self._origin))
        except TimeoutError:
            raise AskError("timeout", str(url.origin())) from None
        except aiohttp.ClientError as error:
            raise AskError(reason_of(error), str(url.origin())) from None

    def _compare_clocks(self, date: str) -> None:
        at = http_date.time_of(date)
        if at is None:
            return
        ahead = at - self._clock()
        if abs(ahead) > _FARTHEST:  # what would be compared is not what has come
            raise AskError("clock", f"Bandwidth's is ahead by {ahead // SECOND} s")
        self.ahead = ahead


@asynccontextmanager
async def connected(
    place: Account, agent: str, clock: Callable[[], int]
) -> AsyncIterator[CallsClient]:
    """Give a client that says by ``agent`` which program asks."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=2),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": agent, "Accept": "application/json"},
    )
    async with session:
        yield CallsClient(session, place, clock)


def _basic(pair: secret.Secret) -> str:
    return base64.b64encode(":".join(pair).encode()).decode()


def _decoded(read: Callable[[bytes], _T], body: bytes) -> _T:
    try:
        return read(body)
    except UnreadableError:
        raise AskError("malformed", "the answer cannot be read") from None


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts = []
    size = 0
    while part := await answer.content.readany():
        size += len(part)
        if size > _ANSWER_BYTES:
            raise AskError("malformed", "the answer is too large")
        parts.append(part)
    return b"".join(parts)


def _written(time_: int) -> str:
    whole, rest = divmod(time_ // 1000, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}Z"
