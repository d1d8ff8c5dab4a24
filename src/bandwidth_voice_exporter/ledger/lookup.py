"""Looking up calls from the event loop: one question at a time, and few that wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bandwidth_voice_exporter.ledger.asked import Reader
from bandwidth_voice_exporter.ledger.look import ReadError
from bandwidth_voice_exporter.ledger.page import Page
from bandwidth_voice_exporter.ledger.query import Query, parse
from bandwidth_voice_exporter.voice import now

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

    def query(self, parameters: Sequence[tuple[str, str]]) -> Query:
        """Return what the parameters of a query string ask for. Raises QueryError."""
        return parse(parameters, self._names, self._clock())

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
