"""Answers questions from the shared ledger, each on a connection of its own, for two seconds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.look import ReadError, shown, too_slow
from bandwidth_voice_exporter.ledger.page import Found, Page, page_of
from bandwidth_voice_exporter.ledger.postgres import horizon, rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection, Record
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget, explained
from bandwidth_voice_exporter.ledger.query import Place, Query
from bandwidth_voice_exporter.ledger.sources import Horizon, Leg
from bandwidth_voice_exporter.voice import DISCONNECT, DOMAIN_OF_CAUSE, SECOND, UNCLASSIFIED

_SECONDS = 2.0
_MOST_WITH_ID = 1000
_MINUTE = 60 * SECOND

_LIST = "{select} WHERE {wanted} ORDER BY received {order}, id {order} LIMIT {most}"
_IS_FAILURE = "cause <> 'hangup'"
# Of this replica, as those that it counts from then on.
_MINUTES = """
    SELECT received / $1 AS minute, cause, count(*) FROM legs
    JOIN replicas ON replicas.id = legs.id >> {bits}
    WHERE received >= $2 AND received < $3 AND event_type = $4 AND name = $5 GROUP BY 1, 2
"""
# The first of each replica is its oldest, of whatever kind: to look for one of a kind could mean to
# look at all that are left of the other.
_BOUNDS = f"""
    SELECT least(
            (SELECT min(received) FROM legs WHERE cause <> 'hangup'),
            (SELECT min(first.received) FROM replicas, LATERAL (
                SELECT received FROM legs
                WHERE legs.id > replicas.id::bigint << {schema.ROW_BITS}
                    AND legs.id < (replicas.id + 1)::bigint << {schema.ROW_BITS}
                ORDER BY legs.id LIMIT 1
            ) AS first)
        ),
        EXISTS (
            SELECT FROM legs WHERE received >= $1::bigint
                AND call_id COLLATE "C" >= '{rows.MADE_UP}' AND call_id COLLATE "C" < '{rows.AFTER}'
        )
"""  # noqa: S608  # constants
_FIND = """
    SELECT event_type, call_id, is_reconciled FROM legs
    JOIN unnest($1::text[] COLLATE "C", $2::text[] COLLATE "C") AS asked (event_type, call_id)
    USING (event_type, call_id)
"""
_BY_ID = f"{rows.SELECT} WHERE {{column}} = $1 ORDER BY id DESC LIMIT {_MOST_WITH_ID + 1}"
_SLOW = {"57014"}  # the statement's time was over

_Result = TypeVar("_Result")


class SharedReader:
    """Looks into the database that a target names, from any thread but the event loop's."""

    def __init__(self, target: LedgerTarget, seconds: float = _SECONDS) -> None:
        self._target = target
        self._seconds = seconds

    def page(self, query: Query) -> Page:
        """Return a page of calls. Raises ReadError; SlowError where it takes too long."""
        if query.ids:
            return self._asked(lambda connection: _with_ids(connection, query))
        return self._asked(lambda connection: _failures(connection, query))

    def minutes(self, since: int, before: int, seconds: float) -> dict[int, dict[str, int]]:
        """Count disconnect events between two times (microseconds) by minute and cause.

        Minutes are numbered from 1970 on. Raises ReadError.
        """
        del seconds
        asked = (_MINUTE, since, before, DISCONNECT, self._target.name)
        statement = _MINUTES.format(bits=schema.ROW_BITS)
        found = self._asked(lambda connection: connection.fetch(statement, *asked))
        counts: dict[int, dict[str, int]] = {
            minute: {} for minute in range(-(-since // _MINUTE), before // _MINUTE + 1)
        }
        for minute, cause, number in found:
            if minute in counts:  # all of it was asked for
                counts[minute][cause] = number
        return counts

    def bounds(self, since: int | None = None) -> Horizon:
        """Return from when on it can be told whether a call was counted. Raises ReadError."""

        async def look(connection: PostgresConnection) -> Horizon:
            found = await connection.fetch(
                "SELECT name, note FROM notes WHERE name = ANY($1)", horizon.NAMES
            )
            notes = {row[0]: row[1] for row in found}
            first, is_nameless = await connection.fetchrow(_BOUNDS, since)
            doubted = horizon.decoded(notes.get(horizon.DOUBTED))
            return Horizon(first, doubted, horizon.pruned(notes), is_nameless)

        return self._asked(look)

    def find(self, legs: Sequence[Leg]) -> dict[Leg, bool]:
        """Return those of some legs that are there, and whether they are reconciled ones.

        Raises ReadError; SlowError where they are too many.
        """
        asked = [[event_type for event_type, _ in legs], [call_id for _, call_id in legs]]
        found = self._asked(lambda connection: connection.fetch(_FIND, *asked))
        there = {(event_type, call_id): reconciled for event_type, call_id, reconciled in found}
        return {leg: there[leg] for leg in legs if leg in there}

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator["KeptReader"]:
        """Give one whose questions share a connection, for one asker."""
        kept = KeptReader(self._target, self._seconds)
        try:
            yield kept
        finally:
            kept.close()

    def _asked(self, question: Callable[[PostgresConnection], Awaitable[_Result]]) -> _Result:
        try:
            return self._answered(question)
        except StoreError as error:
            raise ReadError(str(error)) from error

    def _answered(self, question: Callable[[PostgresConnection], Awaitable[_Result]]) -> _Result:
        async def answer() -> _Result:
            connection = await self._target.connect()
            try:
                return await self._answer(connection, question)
            finally:
                connection.terminate()

        return asyncio.run(answer())

    async def _answer(
        self,
        connection: PostgresConnection,
        question: Callable[[PostgresConnection], Awaitable[_Result]],
    ) -> _Result:
        try:
            async with asyncio.timeout(self._seconds):
                return await question(connection)
        except TimeoutError:
            raise too_slow() from None
        except Exception as error:
            if getattr(error, "sqlstate", None) in _SLOW:
                raise too_slow() from error
            raise explained(error) from error


class KeptReader(SharedReader):
    """Asks on one connection of the running event loop, one question after the other."""

    def __init__(self, target: LedgerTarget, seconds: float) -> None:
        super().__init__(target, seconds)
        self._loop = asyncio.get_running_loop()
        self._connection: PostgresConnection | None = None

    def close(self) -> None:
        """Break the connection off; in the event loop."""
        if self._connection:
            self._connection.terminate()
            self._connection = None

    def _answered(self, question: Callable[[PostgresConnection], Awaitable[_Result]]) -> _Result:
        async def answer() -> _Result:
            try:
                return await self._answer(await self._open(), question)
            except BaseException:
                self.close()
                raise

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result()

    async def _open(self) -> PostgresConnection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._target.connect()
        return self._connection


async def _failures(connection: PostgresConnection, query: Query) -> Page:
    """Take one more than is wanted, which shows whether the list goes on."""
    wanted, values = _wanted(query)
    statement = _LIST.format(
        select=rows.SELECT,
        wanted=wanted,
        order="ASC" if query.newer else "DESC",
        most=query.limit + 1,
    )
    found = await connection.fetch(statement, *values)
    return page_of(query, [_placed(record) for record in found])


def _wanted(query: Query) -> tuple[str, list[object]]:
    """Return the conditions on a failure, in SQL, and their parameters."""
    low, high = query.bounds
    wanted = [_IS_FAILURE, "(received, id) > ($1, $2)", "(received, id) < ($3, $4)"]
    values: list[object] = [low.received, low.row, high.received, high.row]
    for column, texts in (
        ("cause", query.causes),
        ("application", query.applications),
        ("direction", query.directions),
    ):
        if texts:
            values.append(list(texts))
            wanted.append(f"{column} = ANY(${len(values)}::text[])")
    if query.fault_domains:
        known = [one for one, domain in DOMAIN_OF_CAUSE.items() if domain in query.fault_domains]
        values.append(known)
        one_of = f"cause = ANY(${len(values)}::text[])"
        if UNCLASSIFIED in query.fault_domains:
            values.append(list(DOMAIN_OF_CAUSE))
            one_of = f"({one_of} OR cause <> ALL(${len(values)}::text[]))"
        wanted.append(one_of)
    return " AND ".join(wanted), values


async def _with_ids(connection: PostgresConnection, query: Query) -> Page:
    """Return calls that have an id, whatever their cause: they are few, and sorted here."""
    found: dict[Place, Found] = {}
    is_cut = False
    columns = list(query.ids) if query.is_any_id else list(query.ids)[:1]
    for column in columns:
        records = await connection.fetch(_BY_ID.format(column=column), query.ids[column])
        is_cut = is_cut or len(records) > _MOST_WITH_ID
        found |= {place: (place, call) for place, call in map(_placed, records)}
    wanted = sorted(
        (one for one in found.values() if query.wants(*one)),
        key=lambda one: one[0],
        reverse=not query.newer,
    )
    return msgspec.structs.replace(page_of(query, wanted), is_cut=is_cut)


def _placed(record: Record) -> Found:
    row, call = rows.numbered(record)
    return Place(call.received, row), shown(call)
