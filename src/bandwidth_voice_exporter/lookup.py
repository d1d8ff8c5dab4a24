"""Looking up calls from the event loop: one question at a time, and few that wait."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request

from bandwidth_voice_exporter import failures
from bandwidth_voice_exporter.event import now
from bandwidth_voice_exporter.failures import Query
from bandwidth_voice_exporter.listing import Page
from bandwidth_voice_exporter.reader import Reader, ReadError

_MOST_WAITING = 10


class BusyError(ReadError):
    """Too many questions wait for an answer."""


class Lookup:
    """Answers from the ledger's database, in another thread.

    ``names`` are applications' names by id; ``clock`` gives microseconds since 1970.
    """

    def __init__(
        self,
        reader: Reader,
        names: Mapping[str, str],
        clock: Callable[[], int] = now,
    ) -> None:
        self._reader = reader
        self._names = names
        self._clock = clock
        self._slot = asyncio.Semaphore(1)
        self._waiting = 0

    def query(self, request: Request) -> Query:
        """Return what a request's query string asks for. Raises QueryError."""
        return failures.parse(request.query_params.multi_items(), self._names, self._clock())

    async def page(self, query: Query) -> Page:
        """Return a page of calls. Raises ReadError."""
        if self._waiting >= _MOST_WAITING:
            raise BusyError("others are asking too: try again in a moment")
        self._waiting += 1
        try:
            async with self._slot:
                return await asyncio.to_thread(self._reader.page, query)
        finally:
            self._waiting -= 1
