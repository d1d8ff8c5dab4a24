"""A shared ledger, copied from or into, in one transaction."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import asyncpg
import msgspec

from bandwidth_voice_exporter.ledger.contents import Contents, Placed, ShareContents
from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres import horizon, rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection, Record
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget, explained
from bandwidth_voice_exporter.ledger.replica import LEASE
from bandwidth_voice_exporter.ledger.table import COLUMNS
from bandwidth_voice_exporter.metrics import CappedLabel

_AT_ONCE = 2000  # rows in a step
_NO_LIMITS = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""
_LEFT = "calls were left for a replica that did not start since: start all replicas once, and stop"
_LIVES = f"""
    SELECT name FROM replicas
    WHERE clock_timestamp() - seen < interval '{LEASE:g} seconds' OR id IN (
        SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
            AND classid = $1::int::oid
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) ORDER BY name LIMIT 1
"""  # noqa: S608  # a constant
_IS_EMPTY = """
    SELECT NOT EXISTS (SELECT FROM replicas) AND NOT EXISTS (SELECT FROM legs)
        AND NOT EXISTS (SELECT FROM admitted) AND NOT EXISTS (SELECT FROM notes)
"""
_SHARES = "SELECT id, name, state, counted_twice, spool, spooled FROM replicas ORDER BY id"
_NAMES = ", ".join(f"legs.{column}" for column in COLUMNS)
_CALLS = f"""
    SELECT {_NAMES} FROM legs JOIN replicas ON replicas.id = legs.id >> {schema.ROW_BITS}
    WHERE legs.id {{which}} replicas.last_row ORDER BY {{order}}
"""  # noqa: S608  # constants
_COUNTED = _CALLS.format(which="<=", order="legs.received, legs.id")  # as a disk's ledger has them
_SINCE = _CALLS.format(which=">", order="legs.id")
_INSERT_SHARE = """
    INSERT INTO replicas (id, name, last_row, state, counted_twice, spool, spooled)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class SharedSource:
    """The ledger in a database; no exporter counts in it meanwhile."""

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection
        self._places: dict[int, int] = {}

    async def contents(self) -> Contents:
        """Return all but the calls. Raises StoreError."""
        shares = await self._connection.fetch(_SHARES)
        self._places = {share[0]: place for place, share in enumerate(shares)}
        admitted = await self._connection.fetch("SELECT label, value FROM admitted ORDER BY number")
        found = await self._connection.fetch("SELECT name, note FROM notes")
        notes: dict[str, bytes] = {row[0]: row[1] for row in found}
        return Contents(
            [ShareContents(*share[1:]) for share in shares],
            _by_label(admitted),
            {name: note for name, note in notes.items() if name not in horizon.NAMES},
            horizon.decoded(notes.get(horizon.DOUBTED)),
            horizon.pruned(notes),
        )

    async def calls(self, *, counted: bool) -> AsyncIterator[Sequence[Placed]]:
        """Yield the calls that are in the totals, or those after them. Raises StoreError."""
        some: list[Placed] = []
        cursor = self._connection.cursor(_COUNTED if counted else _SINCE, prefetch=_AT_ONCE)
        async for record in cursor:
            row, call = rows.numbered(record)
            some.append((self._places[rows.replica_of(row)], call))
            if len(some) == _AT_ONCE:
                yield some
                some = []
        if some:
            yield some


class SharedTarget:
    """The ledger in a database that is empty for all others until the end."""

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection
        self._shares: Sequence[ShareContents] = ()
        self._rows: list[int] = []
        self._last_rows: list[int] = []

    async def begin(self, contents: Contents) -> None:
        """Take all but the calls. Raises StoreError."""
        if len(contents.shares) > schema.MOST_REPLICAS:
            raise StoreError(f"a ledger holds the shares of {schema.MOST_REPLICAS} replicas")
        self._shares = contents.shares
        self._rows = [rows.first_row(place + 1) for place in range(len(self._shares))]
        self._last_rows = [*self._rows]
        for label, values in contents.admitted.items():
            for value in values:
                await self._connection.execute(
                    "INSERT INTO admitted (label, value) VALUES ($1, $2)", label, value
                )
        notes = dict(contents.notes)
        notes |= horizon.notes(contents.doubted, contents.pruned)
        await self._connection.executemany("INSERT INTO notes VALUES ($1, $2)", notes.items())

    async def write(self, placed: Sequence[Placed]) -> None:
        """Take some calls. Raises StoreError."""
        records = []
        for place, call in placed:
            self._rows[place] += 1
            records.append((self._rows[place], *msgspec.structs.astuple(rows.keyed(call))))
        await self._connection.copy_records_to_table(
            "legs", schema_name=schema.SCHEMA, columns=COLUMNS, records=records
        )

    async def save(self) -> None:
        """Take the totals for those of the calls so far."""
        self._last_rows = [*self._rows]

    async def end(self) -> None:
        """Let it be a ledger. Raises StoreError."""
        for place, (share, last_row) in enumerate(zip(self._shares, self._last_rows, strict=True)):
            await self._connection.execute(
                _INSERT_SHARE,
                *(place + 1, share.name, last_row, share.state),
                *(share.counted_twice, share.spool, share.spooled),
            )


def _by_label(admitted: Iterable[Record]) -> dict[CappedLabel, list[str]]:
    values: dict[CappedLabel, list[str]] = {}
    for label, value in admitted:
        values.setdefault(label, []).append(value)
    return values


@contextlib.asynccontextmanager
async def source(place: LedgerTarget) -> AsyncIterator[SharedSource]:
    """Give the ledger that a target names. Raises StoreError where an exporter lives in it."""
    async with _connected(place) as connection:
        if not await connection.fetchval("SELECT to_regclass('replicas')::text"):
            raise StoreError(f"{place.name}: there is no ledger in the database")
        await schema.migrate(connection)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(_NO_LIMITS)
            # No exporter begins to count meanwhile.
            await connection.execute("LOCK TABLE replicas IN SHARE MODE")
            if name := await connection.fetchval(_LIVES, schema.REPLICA_LOCK):
                raise StoreError(
                    f"{place.name}: an exporter named {name} lives in this ledger: stop all of "
                    f"them, and wait {LEASE:.0f} s for one that was killed"
                )
            if await connection.fetchval("SELECT EXISTS (SELECT FROM left_calls)"):
                raise StoreError(f"{place.name}: {_LEFT}")
            yield SharedSource(connection)


@contextlib.asynccontextmanager
async def target(place: LedgerTarget) -> AsyncIterator[SharedTarget]:
    """Give an empty ledger; what is written is kept if all goes well. Raises StoreError."""
    async with _connected(place) as connection:
        await schema.migrate(connection)
        async with connection.transaction():
            await connection.execute(_NO_LIMITS)
            await _check_empty(connection, place)  # before it waits for a lock, of FROM perhaps
            await connection.execute("LOCK TABLE replicas IN SHARE ROW EXCLUSIVE MODE")
            await _check_empty(connection, place)
            yield SharedTarget(connection)


async def _check_empty(connection: PostgresConnection, place: LedgerTarget) -> None:
    if not await connection.fetchval(_IS_EMPTY):
        role = await connection.fetchval("SELECT quote_ident(current_user)")
        raise StoreError(
            f"{place.name}: the ledger is not empty: copy into a database without one (or empty "
            f"this one of all it counted, as the database's owner: DROP SCHEMA {schema.SCHEMA} "
            f"CASCADE; CREATE SCHEMA {schema.SCHEMA} AUTHORIZATION {role})"
        )


@contextlib.asynccontextmanager
async def _connected(place: LedgerTarget) -> AsyncIterator[PostgresConnection]:
    try:
        connection = await place.connect(statement_seconds=None)
    except StoreError as error:
        raise StoreError(_of(place, error)) from error
    try:
        yield connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise StoreError(_of(place, explained(error))) from error
    finally:
        connection.terminate()


def _of(place: LedgerTarget, error: StoreError) -> str:
    """Return an error's message with the command's own flags, which are not an exporter's."""
    said = str(error).replace("--ledger.password-file", f"--{place.name.lower()}.password-file")
    return said.replace("--ledger.url", place.name)
