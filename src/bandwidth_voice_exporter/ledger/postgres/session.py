"""A connection by which a replica counts: while it lasts, no other process counts under its name.

The lock belongs to the session that writes, so that a process that lost it cannot write any more.
Every method has a time limit, and raises AwayError, RefusedError or SupersededError; after any of
them the session is closed, and the next one finds out what became of a statement.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres import left, pruning, rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.postgres.left import LeftCall
from bandwidth_voice_exporter.ledger.postgres.lock import (
    SupersededError,
    replica_id,
    reserve_notes,
    superseded,
    take,
)
from bandwidth_voice_exporter.ledger.postgres.saved import SharedSaved
from bandwidth_voice_exporter.ledger.postgres.target import (
    STATEMENT_SECONDS,
    AwayError,
    LedgerTarget,
    explained,
)
from bandwidth_voice_exporter.ledger.pruning import Mark, Pruned
from bandwidth_voice_exporter.ledger.replica import Replica
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import CallEnded

_AT_ONCE = 5000  # rows in an answer
_GOODBYE_SECONDS = 1.0

_BEAT = """
    WITH beaten AS (
        UPDATE replicas SET seen = clock_timestamp() WHERE id = $1 AND process = $2 RETURNING id
    )
    SELECT name, host, extract(epoch FROM clock_timestamp() - seen)::float8 AS age,
        id = $1 AS is_this, EXISTS (SELECT FROM beaten) AS is_ours,
        EXISTS (SELECT FROM left_calls WHERE replica = $1) AS has_left
    FROM replicas ORDER BY name
"""
_SAVE = """
    UPDATE replicas SET state = $2, last_row = $3, counted_twice = $4, spool = $5, spooled = $6
    WHERE id = $1 AND process = $7 RETURNING id
"""
_SINCE = f"{rows.SELECT} WHERE id > $1 AND id < $2 ORDER BY id LIMIT {_AT_ONCE}"
_MINE = "SELECT id FROM legs WHERE id = ANY($1::bigint[])"
_FIND = """
    SELECT call_id, event_type, id FROM legs
    JOIN unnest($1::text[] COLLATE "C", $2::text[] COLLATE "C") AS asked (call_id, event_type)
    USING (call_id, event_type)
"""
_ADMIT = """
    INSERT INTO admitted (label, value)
    SELECT $1, value FROM unnest($2::text[]) WITH ORDINALITY AS given (value, place)
    WHERE value NOT IN (SELECT value FROM admitted WHERE label = $1) ORDER BY place
    LIMIT greatest(0, $3 - (SELECT count(*) FROM admitted WHERE label = $1))
    ON CONFLICT DO NOTHING
"""
_SIZE = """
    SELECT (SELECT coalesce(sum(n_live_tup), 0)::bigint FROM pg_stat_user_tables
            WHERE schemaname = $1 AND relname = 'legs'),
        pg_total_relation_size('legs')
"""


class Session:
    """An open connection that holds the lock of a replica."""

    def __init__(self, connection: PostgresConnection, process: uuid.UUID, replica: int) -> None:
        self._connection = connection
        self._process = process
        self.replica = replica
        self.has_left = False  # calls wait in the database for this replica, as of the last beat
        self._has_notes = False

    @classmethod
    async def open(cls, target: LedgerTarget, process: uuid.UUID, *, is_first: bool) -> "Session":
        """Connect and take the lock, even from a holder that gave no sign of life for a lease.

        With ``is_first`` this process counts under the name from now on; without, it must be the
        last one that did. Raises InUseError too.
        """
        connection = await target.connect()
        try:
            async with _limited():
                await schema.migrate(connection)
                replica = await replica_id(connection, target.name)
                await take(connection, replica, process, target.name, is_first=is_first)
        except BaseException:
            connection.terminate()
            raise
        return cls(connection, process, replica)

    def close(self) -> None:
        """Break the connection off, in whatever state it is."""
        self._connection.terminate()

    async def leave(self) -> None:
        """Say that this replica lives no more, and close."""
        with contextlib.suppress(StoreError):
            async with _limited():
                await self._connection.execute(
                    "UPDATE replicas SET seen = NULL WHERE id = $1", self.replica
                )
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._connection.close()
        self.close()

    async def load(self) -> tuple[SharedSaved, dict[str, list[str]]]:
        """Return what the share has come to, and the label values that all replicas admit."""
        async with _limited():
            row = await self._connection.fetchrow(
                "SELECT last_row, state, counted_twice, spool, spooled FROM replicas WHERE id = $1",
                self.replica,
            )
            admitted: dict[str, list[str]] = {}
            for label, value in await self._connection.fetch(
                "SELECT label, value FROM admitted ORDER BY number"
            ):
                admitted.setdefault(label, []).append(value)
            return SharedSaved(*row), admitted

    async def since(self, row: int) -> AsyncIterator[Numbered]:
        """Yield this replica's calls after a row, in the order of their rows."""
        end = rows.first_row(self.replica + 1)
        while True:
            async with _limited():
                found = await self._connection.fetch(_SINCE, row, end)
            for record in found:
                yield rows.numbered(record)
            if len(found) < _AT_ONCE:
                return
            row = found[-1][0]

    async def insert(self, numbered: Sequence[Numbered]) -> set[int]:
        """Write calls in one commit; return the rows that this replica has, new or not."""
        async with _limited():
            given = [row for row, _ in numbered]
            done = await self._connection.execute(rows.INSERT, rows.tuples(numbered))
            if done == f"INSERT 0 {len(given)}":
                return set(given)
            return {row for (row,) in await self._connection.fetch(_MINE, given)}

    async def find(self, calls: Sequence[CallEnded]) -> dict[tuple[str, str], int]:
        """Return the rows of those of some legs that are there, by call id and event type."""
        async with _limited():
            found = await self._connection.fetch(
                _FIND, [call.call_id for call in calls], [call.event_type for call in calls]
            )
            return {(one[0], one[1]): one[2] for one in found}

    async def admit(self, label: str, values: Sequence[str], most: int) -> list[str]:
        """Let all replicas name values of a label, while there are not so many; return them."""
        async with _limited(), self._connection.transaction():
            await self._connection.execute(
                "SELECT pg_advisory_xact_lock($1::int, $2::int)",
                schema.COMMON_LOCK,
                schema.ADMITTING,
            )
            await self._connection.execute(_ADMIT, label, list(values), most)
            return [
                value
                for (value,) in await self._connection.fetch(
                    "SELECT value FROM admitted WHERE label = $1 ORDER BY number", label
                )
            ]

    async def save(self, saved: SharedSaved) -> None:
        """Save the share's totals, in place of the earlier ones."""
        async with _limited():
            kept = await self._connection.fetchval(
                _SAVE,
                *(self.replica, saved.state, saved.last_row, saved.counted_twice),
                *(saved.spool, saved.spooled, self._process),
            )
            if not kept:
                raise SupersededError(superseded())

    async def beat(self) -> tuple[Replica, ...]:
        """Give a sign of life; return all that ever shared the ledger."""
        async with _limited():
            found = await self._connection.fetch(_BEAT, self.replica, self._process)
            if not any(is_this and is_ours for *_, is_this, is_ours, _ in found):
                raise SupersededError(superseded())
            self.has_left = any(has_left for *_, has_left in found)
            return tuple(Replica(*columns) for *columns, _, _ in found)

    async def size(self) -> tuple[int, int]:
        """Return about how many legs there are, and the bytes that they take with their indexes."""
        async with _limited():
            number, size = await self._connection.fetchrow(_SIZE, schema.SCHEMA)
            return number, size

    async def note(self, name: str) -> bytes | None:
        """Return the note under a name."""
        async with _limited():
            found: bytes | None = await self._connection.fetchval(
                "SELECT note FROM notes WHERE name = $1", name
            )
            return found

    async def reserve_notes(self) -> bool:
        """Whether this session alone puts notes, until it ends."""
        async with _limited():
            self._has_notes = self._has_notes or await reserve_notes(self._connection)
            return self._has_notes

    async def put_note(self, name: str, note: bytes) -> None:
        """Keep a note in place of the one before, where the notes are reserved."""
        if not self._has_notes:
            raise AwayError("the connection to the database was lost meanwhile")
        async with _limited():
            await self._connection.execute(
                "INSERT INTO notes VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET note = $2",
                *(name, note),
            )

    async def left(self) -> list[LeftCall]:
        """Return the first calls that an earlier process of the name left for this one."""
        async with _limited():
            return await left.found(self._connection, self.replica)

    async def forget_left(self, calls: Sequence[LeftCall]) -> None:
        """Drop those that are recorded."""
        async with _limited():
            await left.forget(self._connection, calls)

    async def prune(self, kind: Kind, before: int, now: int, marks: dict[int, Mark]) -> Pruned:
        """Take away some rows of a kind that were received before a time (microseconds)."""
        async with _limited():
            return await pruning.step(self._connection, kind, before, now, marks)


@contextlib.asynccontextmanager
async def _limited() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(STATEMENT_SECONDS):
            yield
    except Exception as error:
        raise explained(error) from error
