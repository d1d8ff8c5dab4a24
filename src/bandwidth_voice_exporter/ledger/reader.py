"""What is asked of the ledger's database: looked up beside the store, without holding it up.

Each question has a connection and a read transaction of its own, of a second at most: a longer one
would keep the write-ahead log from being used again. Nothing stays open, so that a ledger that was
moved aside is not read on.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bandwidth_voice_exporter.ledger import batches, table
from bandwidth_voice_exporter.ledger.database import DamagedError
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints, fingerprint
from bandwidth_voice_exporter.ledger.page import Found, Page, page_of
from bandwidth_voice_exporter.ledger.query import Place, Query
from bandwidth_voice_exporter.ledger.schema import IS_FAILURE
from bandwidth_voice_exporter.ledger.table import COLUMNS, Numbered
from bandwidth_voice_exporter.voice import (
    COUNTED_TYPES,
    DISCONNECT,
    HANGUP,
    SECOND,
    CallEnded,
    is_pseudonym,
)

_SECONDS = 1.0  # of a transaction
_LOOK_EVERY = 2000  # steps of SQLite's machine between two looks at the clock
_MOST_KINDS = 2000
_MOST_WITH_ID = 1000
_AT_ONCE = 900  # rows by number: every SQLite takes 999 parameters
_MINUTE = 60 * SECOND
_COUNTED_AT_ONCE = 50_000  # rows

_ROW = ", ".join(COLUMNS)
_KIND = ("cause", "application", "direction")
# The next kind after one: of the same cause and application, else of the same cause, else any. Not
# as one comparison of three: SQLite would walk all rows of the cause for it.
_NEXT_KINDS = tuple(
    f"""
    SELECT {", ".join(_KIND)} FROM calls INDEXED BY failures_by_kind
    WHERE {IS_FAILURE} {"".join(f"AND {column} = ? " for column in _KIND[:same])}
        AND {_KIND[same]} > ?
    ORDER BY {", ".join(_KIND)} LIMIT 1
    """  # noqa: S608  # constants
    for same in (2, 1, 0)
)
_PLACES = """
    SELECT received, id FROM calls INDEXED BY {index}
    WHERE {is_wanted} AND (received, id) > (?, ?) AND (received, id) < (?, ?)
    ORDER BY received {order}, id {order} LIMIT ?
"""
_IS_KIND = f"{IS_FAILURE} AND cause = ? AND application = ? AND direction = ?"
_BY_ROW = f"SELECT {_ROW} FROM calls WHERE id = ?"  # noqa: S608  # constants
# In an older ledger, until all of its rows have fingerprints.
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'calls_by_call_id'"
_BY_CALL_ID = f"SELECT {_ROW} FROM calls WHERE call_id = ?"  # noqa: S608  # constants
_BATCH = "SELECT first, calls FROM bodies WHERE first <= ? ORDER BY first DESC LIMIT 1"
_BATCHES_BY_HASH = "SELECT first FROM batches WHERE instr(hashes, ?) > 0 ORDER BY first DESC"
_BY_ID = f"""
    WITH RECURSIVE thousand (number) AS (
        SELECT max(id) >> 10 FROM calls
        UNION ALL
        SELECT number - 1 FROM thousand WHERE number > (SELECT min(id) >> 10 FROM calls)
    )
    SELECT {_ROW} FROM thousand CROSS JOIN calls INDEXED BY calls_by_{{column}}
    WHERE id >> 10 = number AND {{column}} = ? LIMIT ?
"""  # noqa: S608  # constants
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

_BOUNDS = """
    SELECT (SELECT received FROM calls ORDER BY id LIMIT 1),
        (SELECT oldest FROM batches ORDER BY first LIMIT 1), doubted FROM ledger
"""

Kind = tuple[str, str, str]
Leg = tuple[str, str]  # event type, call id


class ReadError(Exception):
    """The ledger cannot be read; the message says why."""


class SlowError(ReadError):
    """What was asked for cannot be found in the time that there is."""


class Bounds(msgspec.Struct, frozen=True):
    """What a ledger cannot tell of, in microseconds: calls received before its oldest rows.

    ``failure`` and ``normal`` are those of the oldest row of a kind, None without one; of calls
    counted before ``doubted`` some may be missing.
    """

    failure: int | None
    normal: int | None
    doubted: int


class Reader:
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
            return self._with_ids(look, query) if query.ids else _failures(look, query)

    def minutes(self, since: int, before: int, seconds: float) -> dict[int, dict[str, int]]:
        """Count disconnect events between two times (microseconds) by minute and cause.

        Minutes are numbered from 1970 on; those that the seconds do not suffice for are not there.
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

    def bounds(self) -> Bounds:
        """Return from when on it can be told whether a call was counted. Raises ReadError."""
        with self._looking() as look:
            ((failure, normal, doubted),) = look.rows(_BOUNDS)
        return Bounds(failure, normal, doubted)

    def find(self, legs: Sequence[Leg]) -> dict[Leg, bool]:
        """Return those of some legs that are there, and whether they are reconciled ones.

        Raises ReadError; SlowError where they are too many.
        """
        there: dict[Leg, bool] = {}
        failures: list[int] = []
        normal: list[int] = []
        for leg in legs:
            for kind, row in self._fingerprints.find(fingerprint(*leg)):
                if row < self._fingerprints.since:  # it cannot be compared, and is taken for it
                    there[leg] = False
                else:
                    (failures if kind == "failure" else normal).append(row)
        with self._looking() as look:
            calls = _by_rows(look, failures)
            calls += _in_batches(look, normal)
            if look.rows(_HAS_INDEX):
                for _, call_id in legs:
                    calls += map(table.numbered, look.rows(_BY_CALL_ID, (call_id,)))
        there |= {
            (call.event_type, call.call_id): call.is_reconciled
            for _, call in calls
            if call.call_id is not None
        }
        return {leg: there[leg] for leg in legs if leg in there}

    def _with_ids(self, look: "_Look", query: Query) -> Page:
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

    def _by_call_id(self, look: "_Look", text: str) -> list[Numbered]:
        calls: list[Numbered] = []
        for event_type in COUNTED_TYPES:
            for kind, row in self._fingerprints.find(fingerprint(event_type, text)):
                if kind == "failure":
                    calls += map(table.numbered, look.rows(_BY_ROW, (row,)))
                else:
                    calls += [one for one in _batch(look, row) if one[0] == row]
        if look.rows(_HAS_INDEX):
            calls += map(table.numbered, look.rows(_BY_CALL_ID, (text,)))
        return [(row, call) for row, call in calls if call.call_id == text]

    @contextlib.contextmanager
    def _looking(self) -> Iterator["_Look"]:
        deadline = self._monotonic() + self._seconds

        def is_over() -> bool:
            return self._monotonic() >= deadline

        try:
            with contextlib.closing(self._connect()) as connection:
                connection.set_progress_handler(is_over, _LOOK_EVERY)
                connection.execute("BEGIN")
                yield _Look(connection, is_over)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise _too_slow() from error
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


class _Look(msgspec.Struct, frozen=True):
    """A read transaction, and whether its time is over."""

    connection: sqlite3.Connection
    is_over: Callable[[], bool]

    def rows(
        self, statement: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        if self.is_over():
            raise _too_slow()
        return self.connection.execute(statement, values).fetchall()


def _too_slow() -> SlowError:
    return SlowError("this took too long: ask for a cause, or for less time")


def _failures(look: _Look, query: Query) -> Page:
    """Take one more than is wanted, which tells whether the list goes on."""
    places = _places(look, query)
    calls = dict(_by_rows(look, [place.row for place in places]))
    return page_of(query, [(place, _shown(calls[place.row])) for place in places])


def _by_rows(look: _Look, rows: Sequence[int]) -> list[Numbered]:
    """Return the calls of rows of their own."""
    calls: list[Numbered] = []
    for start in range(0, len(rows), _AT_ONCE):
        numbers = rows[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(numbers))
        statement = f"SELECT {_ROW} FROM calls WHERE id IN ({marks})"  # noqa: S608  # question marks
        calls += map(table.numbered, look.rows(statement, numbers))
    return calls


def _in_batches(look: _Look, rows: Iterable[int]) -> list[Numbered]:
    """Return the calls of rows that are in batches, each of which is decoded once."""
    calls: list[Numbered] = []
    through = 0
    for row in sorted(rows):
        if row > through:
            batch = _batch(look, row)
            calls += batch
            through = batch[-1][0] if batch else row
    return calls


def _places(look: _Look, query: Query) -> list[Place]:
    """Return the first places in the list's direction, of each kind and then of all of them."""
    order = "ASC" if query.newer else "DESC"
    low, high = query.bounds
    if not query.has_kind:
        statement = _PLACES.format(index="failures_by_time", is_wanted=IS_FAILURE, order=order)
        between = (low.received, low.row, high.received, high.row)
        return [Place(*row) for row in look.rows(statement, (*between, query.limit + 1))]
    statement = _PLACES.format(index="failures_by_kind", is_wanted=_IS_KIND, order=order)
    best: list[Place] = []
    for kind in _kinds(look, query):
        between = (low.received, low.row, high.received, high.row)
        best += [Place(*row) for row in look.rows(statement, (*kind, *between, query.limit + 1))]
        best.sort(reverse=not query.newer)
        del best[query.limit + 1 :]
        if len(best) > query.limit:  # what is farther off than the last of them is not wanted
            low, high = (low, best[-1]) if query.newer else (best[-1], high)
    return best


def _kinds(look: _Look, query: Query) -> Iterator[Kind]:
    """Yield the kinds of failure that are there and wanted, by a look at the index or two each."""
    looks = 0
    for cause in query.known_causes or ("",):
        after: Kind = (cause, "", "")
        while kind := _next_kind(look, after):
            if query.known_causes and kind[0] != cause:
                break
            after = kind
            looks += 1
            if looks > _MOST_KINDS:
                raise _too_slow()
            if query.wants_kind(*kind):
                yield kind


def _next_kind(look: _Look, after: Kind) -> Kind | None:
    for statement, same in zip(_NEXT_KINDS, (2, 1, 0), strict=True):
        for cause, application, direction in look.rows(statement, after[: same + 1]):
            return cause, application, direction
    return None


def _normal_minutes(
    look: _Look, span: tuple[int, int], since: int, before: int
) -> Iterator[tuple[int, str, int]]:
    """Count by minute and cause in batches; those that lie within a minute are not looked into."""
    for first, oldest, newest, disconnects in look.rows(_BATCHES, (*span, since, before)):
        if since <= oldest and newest < before and oldest // _MINUTE == newest // _MINUTE:
            yield oldest // _MINUTE, HANGUP, disconnects
            continue
        for _, call in _batch(look, first):
            if since <= call.received < before and call.event_type == DISCONNECT:
                yield call.received // _MINUTE, call.cause, 1


def _by_id(look: _Look, column: str, text: str) -> list[Numbered]:
    """Return the calls that have an id, the newest of those that ended normally."""
    found = look.rows(_BY_ID.format(column=column), (text, _MOST_WITH_ID + 1))
    calls = list(map(table.numbered, found))
    most = len(calls) + _MOST_WITH_ID
    for (first,) in look.rows(_BATCHES_BY_HASH, (batches.hashed(text),)):
        calls += [one for one in _batch(look, first) if getattr(one[1], column) == text]
        if len(calls) > most:
            break
    return calls


def _batch(look: _Look, row: int) -> list[Numbered]:
    """Return the calls of the batch that a row is in, if there is one."""
    try:
        return [one for batch in look.rows(_BATCH, (row,)) for one in batches.unpack(*batch)]
    except DamagedError as error:
        raise ReadError(str(error)) from error


def _placed(one: Numbered) -> Found:
    row, call = one
    return Place(call.received, row), _shown(call)


def _shown(call: CallEnded) -> CallEnded:
    """Return a call without the pseudonym that only serves to recognise it."""
    if call.call_id and is_pseudonym(call.call_id):
        return msgspec.structs.replace(call, call_id=None)
    return call
