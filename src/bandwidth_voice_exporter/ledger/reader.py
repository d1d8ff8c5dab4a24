"""Answers questions from the ledger's database, beside the store and without holding it up.

Each question has a connection and a read transaction of its own, of a second at most: a longer one
would keep the write-ahead log from being used again. Nothing stays open, so that a ledger that was
moved aside is not read on.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import batches, failures, sources, table
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints, fingerprint
from bandwidth_voice_exporter.ledger.look import ReadError, ReadTransaction, batch, shown, too_slow
from bandwidth_voice_exporter.ledger.page import Found, Page, page_of
from bandwidth_voice_exporter.ledger.query import Place, Query
from bandwidth_voice_exporter.ledger.sources import Horizon, Leg
from bandwidth_voice_exporter.ledger.table import BY_CALL_ID, COLUMNS, HAS_INDEX, SELECT, Numbered
from bandwidth_voice_exporter.voice import (
    COUNTED_TYPES,
    DISCONNECT,
    HANGUP,
    SECOND,
    CallEnded,
)

_SECONDS = 1.0  # of a transaction
_LOOK_EVERY = 2000  # steps of SQLite's machine between two looks at the clock
_MOST_WITH_ID = 1000
_MINUTE = 60 * SECOND
_COUNTED_AT_ONCE = 50_000  # rows

_ROW = ", ".join(COLUMNS)
_BY_ROW = f"{SELECT} WHERE id = ?"
_BATCHES_BY_HASH = "SELECT first FROM batches WHERE instr(hashes, ?) > 0 ORDER BY first DESC"
_BY_ID = """
    WITH RECURSIVE thousand (number) AS (
        SELECT max(id) >> 10 FROM calls
        UNION ALL
        SELECT number - 1 FROM thousand WHERE number > (SELECT min(id) >> 10 FROM calls)
    )
    SELECT {row} FROM thousand CROSS JOIN calls INDEXED BY calls_by_{column}
    WHERE id >> 10 = number AND {column} = ? LIMIT ?
"""
_MINUTES = """
    SELECT received / ?, cause, count(*) FROM calls
    WHERE id > ? AND id <= ? AND received >= ? AND received < ? AND event_type = ?
    GROUP BY 1, 2
"""
_BATCHES = """
    SELECT first, oldest, newest, disconnects FROM batches
    WHERE first > ? AND first <= ? AND newest >= ? AND oldest < ?
"""
_ENDS = """
    SELECT min(first), max(last) FROM (
        SELECT min(id) AS first, max(id) AS last FROM calls
        UNION ALL SELECT min(first), max(first) FROM batches)
"""
_NEWEST = """
    SELECT max(newest) FROM (
        SELECT max(received) AS newest FROM calls WHERE id > :after AND id <= :last
        UNION ALL SELECT max(newest) FROM batches WHERE first > :after AND first <= :last)
"""


class LocalReader:
    """Looks into the database at a path, from any thread."""

    def __init__(
        self,
        path: Path,
        fingerprints: Fingerprints,
        seconds: float = _SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._fingerprints = fingerprints
        self._seconds = seconds
        self._monotonic = monotonic

    def page(self, query: Query) -> Page:
        """Return a page of calls. Raises ReadError; SlowError where it takes too long."""
        with self._looking() as look:
            return self._with_ids(look, query) if query.ids else failures.page(look, query)

    def minutes(self, since: int, before: int, seconds: float) -> dict[int, dict[str, int]]:
        """Count disconnect events between two times (microseconds) by minute and cause.

        Minutes are numbered from 1970 on; minutes that do not fit into ``seconds`` are left out.
        Raises ReadError.
        """
        counts: dict[int, dict[str, int]] = {}
        complete = -(-since // _MINUTE)
        deadline = self._monotonic() + seconds
        with self._looking() as look:
            ((lowest, last),) = look.rows(_ENDS)
        while last is not None and last >= lowest:
            span = (last - _COUNTED_AT_ONCE, last)
            with self._looking() as look:
                ((newest,),) = look.rows(_NEWEST, {"after": span[0], "last": last})
                found = look.rows(_MINUTES, (_MINUTE, *span, since, before, DISCONNECT))
                found += _normal_minutes(look, span, since, before)
            for minute, cause, number in found:
                causes = counts.setdefault(minute, {})
                causes[cause] = causes.get(cause, 0) + number
            if newest is not None and newest < since:
                break
            if self._monotonic() >= deadline:
                complete = min(counts, default=before // _MINUTE) + 1  # of that, some is not seen
                break
            last = span[0]
        return {minute: counts.get(minute, {}) for minute in range(complete, before // _MINUTE + 1)}

    def bounds(self, since: int | None = None) -> Horizon:
        """Return from when on it can be told whether a call was counted. Raises ReadError."""
        del since  # nobody else counts in it
        with self._looking() as look:
            return sources.bounds(look)

    def find(self, legs: Sequence[Leg]) -> dict[Leg, bool]:
        """Return those of some legs that are there, and whether they are reconciled ones.

        Raises ReadError; SlowError where they are too many.
        """
        with self._looking() as look:
            return sources.find(look, self._fingerprints, legs)

    def kept(self) -> AbstractAsyncContextManager["LocalReader"]:
        """Give this one, as it opens a file at no cost."""
        return contextlib.nullcontext(self)

    def _with_ids(self, look: ReadTransaction, query: Query) -> Page:
        """Return calls that have an id, whatever their cause: they are few, and sorted here."""
        found: dict[Place, CallEnded] = {}
        is_cut = False
        columns = list(query.ids) if query.is_any_id else list(query.ids)[:1]
        for column in columns:
            text = query.ids[column]
            is_call_id = column == "call_id"
            calls = self._by_call_id(look, text) if is_call_id else _by_id(look, column, text)
            is_cut = is_cut or len(calls) > _MOST_WITH_ID
            found |= dict(map(_placed, calls))
        wanted = sorted(
            (item for item in found.items() if query.wants(*item)),
            key=lambda item: item[0],
            reverse=not query.newer,
        )
        return msgspec.structs.replace(page_of(query, wanted), is_cut=is_cut)

    def _by_call_id(self, look: ReadTransaction, text: str) -> list[Numbered]:
        calls: list[Numbered] = []
        for event_type in COUNTED_TYPES:
            for kind, row in self._fingerprints.find(fingerprint(event_type, text)):
                if kind == "failure":
                    calls += map(table.numbered, look.rows(_BY_ROW, (row,)))
                else:
                    calls += [one for one in batch(look, row) if one[0] == row]
        if look.rows(HAS_INDEX):
            calls += map(table.numbered, look.rows(BY_CALL_ID, (text,)))
        return [(row, call) for row, call in calls if call.call_id == text]

    @contextlib.contextmanager
    def _looking(self) -> Iterator[ReadTransaction]:
        deadline = self._monotonic() + self._seconds

        def is_over() -> bool:
            return self._monotonic() >= deadline

        try:
            with contextlib.closing(self._connect()) as connection:
                connection.set_progress_handler(is_over, _LOOK_EVERY)
                connection.execute("BEGIN")
                yield ReadTransaction(connection, is_over)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise too_slow() from error
            raise ReadError(str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        # Without a write-ahead log there is none to be made, where nothing can be made.
        log = Path(f"{self._path}-wal")
        mode = "ro" if log.exists() and log.stat().st_size else "ro&immutable=1"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self._seconds,
        )
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        return connection


def _normal_minutes(
    look: ReadTransaction, span: tuple[int, int], since: int, before: int
) -> Iterator[tuple[int, str, int]]:
    """Count by minute and cause in batches; those that lie within a minute are not looked into."""
    for first, oldest, newest, disconnects in look.rows(_BATCHES, (*span, since, before)):
        if since <= oldest and newest < before and oldest // _MINUTE == newest // _MINUTE:
            yield oldest // _MINUTE, HANGUP, disconnects
            continue
        for _, call in batch(look, first):
            if since <= call.received < before and call.event_type == DISCONNECT:
                yield call.received // _MINUTE, call.cause, 1


def _by_id(look: ReadTransaction, column: str, text: str) -> list[Numbered]:
    """Return the calls that have an id: the failed ones, and the newest normal ones."""
    found = look.rows(_BY_ID.format(row=_ROW, column=column), (text, _MOST_WITH_ID + 1))
    calls = list(map(table.numbered, found))
    most = len(calls) + _MOST_WITH_ID
    for (first,) in look.rows(_BATCHES_BY_HASH, (batches.hashed(text),)):
        calls += [one for one in batch(look, first) if getattr(one[1], column) == text]
        if len(calls) > most:
            break
    return calls


def _placed(one: Numbered) -> Found:
    row, call = one
    return Place(call.received, row), shown(call)
