"""The questions that every ledger answers beside its writing, wherever it keeps its rows."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bandwidth_voice_exporter.ledger.page import Page
from bandwidth_voice_exporter.ledger.query import Query
from bandwidth_voice_exporter.ledger.sources import Horizon, Leg


class Reader(Protocol):
    """Looks calls up, from any thread but the event loop's."""

    def page(self, query: Query) -> Page:
        """Return a page of calls. Raises ReadError; SlowError where it takes too long."""
        ...

    def minutes(self, since: int, before: int, seconds: float) -> dict[int, dict[str, int]]:
        """Count disconnect events between two times (microseconds) by minute and cause.

        Minutes are numbered from 1970 on; minutes that do not fit into ``seconds`` are left out.
        Raises ReadError.
        """
        ...

    def bounds(self, since: int | None = None) -> Horizon:
        """Return the times from which on it knows whether a call was counted.

        A shared one says too what other exporters counted since a time (microseconds) that was not
        counted here. Raises ReadError.
        """
        ...

    def find(self, legs: Sequence[Leg]) -> dict[Leg, bool]:
        """Return those of some legs that are there, and whether they are reconciled ones.

        Raises ReadError; SlowError where they are too many.
        """
        ...

    def kept(self) -> AbstractAsyncContextManager["Reader"]:
        """Give one for many questions of one asker: what it asks by is opened once for all."""
        ...
