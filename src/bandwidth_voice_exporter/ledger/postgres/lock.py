"""The lock of a replica: only its holder counts under the name."""

import asyncio
import socket
import time
import uuid

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres import rows, schema
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.postgres.target import AwayError, LedgerRefusedError
from bandwidth_voice_exporter.ledger.replica import LEASE

_TAKING = 2.5  # seconds until a session that was ended is gone

_HELD = """
    SELECT extract(epoch FROM clock_timestamp() - seen)::float8 AS age,
        extract(epoch FROM seen)::float8 AS sign, process, host,
        (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND classid = $2::int::oid AND objid = $1::int::oid
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS pid
    FROM replicas WHERE id = $1
"""
# Where a standby is synchronous, the commit of this waits for it, and so for all rows that an
# earlier session of this process wrote, whose own commit may have been given up waiting.
_TAKE = """
    UPDATE replicas SET process = $2, host = $3, seen = clock_timestamp()
    WHERE id = $1 AND ($4 OR process = $2) RETURNING id
"""

# A session that reserved the notes, of a replica that gave no sign of life for a lease.
_END_STALLED = """
    SELECT pg_terminate_backend(noting.pid) FROM pg_locks AS noting
    LEFT JOIN pg_locks AS counting ON counting.pid = noting.pid AND counting.classid = $3::int::oid
    LEFT JOIN replicas ON replicas.id = counting.objid::bigint
    WHERE noting.locktype = 'advisory' AND noting.granted AND noting.objsubid = 2
        AND noting.classid = $1::int::oid AND noting.objid = $2::int::oid
        AND noting.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (seen IS NULL OR extract(epoch FROM clock_timestamp() - seen) > $4::float8)
"""


_EMPTIED = (
    "--ledger.url: the ledger was dropped or emptied while this exporter counted in it: started "
    "again, it counts from zero in the new one"
)


class SupersededError(StoreError):
    """Another process counts under this name now."""


class InUseError(StoreError):
    """Another process counts under this name, and gave a ``sign`` of life not long ago."""

    def __init__(self, message: str, sign: float) -> None:
        super().__init__(message)
        self.sign = sign


async def replica_id(connection: PostgresConnection, name: str) -> int:
    """Return the id of a replica, a new one where the name is new."""
    find = "SELECT id FROM replicas WHERE name = $1"
    found: int | None = await connection.fetchval(find, name)
    if found is not None:
        return found
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1::int, $2::int)",
            *(schema.COMMON_LOCK, schema.ADMITTING),
        )
        found = await connection.fetchval(find, name)
        if found is None:
            found = await connection.fetchval("SELECT coalesce(max(id), 0) + 1 FROM replicas")
            if found > schema.MOST_REPLICAS:
                raise LedgerRefusedError(
                    f"--replica.name {name}: {schema.MOST_REPLICAS} names are in the ledger, which "
                    f"is all it holds: let exporters go on under the names of before"
                )
            await connection.execute(
                "INSERT INTO replicas (id, name, last_row) VALUES ($1, $2, $3)",
                *(found, name, rows.first_row(found)),
            )
    return int(found)


async def take(
    connection: PostgresConnection, replica: int, process: uuid.UUID, name: str, *, is_first: bool
) -> None:
    """Let this process count as a replica for as long as the connection lasts.

    A holder that gave no sign of life for a lease loses the lock. Raises InUseError if a live
    process counts under the name, SupersededError if another one has since this process did.
    """
    try:
        await _lock(connection, replica, process, name)
    except InUseError as error:
        raise error if is_first else SupersededError(superseded()) from error
    taken = (replica, process, socket.gethostname(), is_first)
    if not await connection.fetchval(_TAKE, *taken):
        holder = await connection.fetchval("SELECT process FROM replicas WHERE id = $1", replica)
        raise SupersededError(superseded() if holder else _EMPTIED)


async def _lock(
    connection: PostgresConnection, replica: int, process: uuid.UUID, name: str
) -> None:
    """Take the lock, also from a stalled process or an earlier session of this very process."""
    deadline = time.monotonic() + _TAKING
    while not await connection.fetchval(
        "SELECT pg_try_advisory_lock($1::int, $2::int)", schema.REPLICA_LOCK, replica
    ):
        age, sign, holder, host, pid = await connection.fetchrow(
            _HELD, replica, schema.REPLICA_LOCK
        )
        if holder != process and age is not None and age < LEASE:
            raise InUseError(
                f"--replica.name {name}: an exporter of this name on {host} lives (its last "
                f"sign was {age:.0f} s ago): each needs a name of its own",
                sign,
            )
        if pid is not None:
            await connection.execute("SELECT pg_terminate_backend($1)", pid)
        if time.monotonic() > deadline:
            raise AwayError(f"--replica.name {name}: the session that counts so does not end")
        await asyncio.sleep(0.05)


async def reserve_notes(connection: PostgresConnection) -> bool:
    """Whether a session alone puts notes from now on, for as long as it lasts.

    One that has them reserved and stands still is ended, so that the next attempt succeeds.
    """
    noting = (schema.COMMON_LOCK, schema.NOTING)
    if await connection.fetchval("SELECT pg_try_advisory_lock($1::int, $2::int)", *noting):
        return True
    await connection.execute(_END_STALLED, *noting, schema.REPLICA_LOCK, LEASE)
    return False


def superseded() -> str:
    """Return the message of a process that no longer counts under its name."""
    return (
        f"--replica.name: another exporter of this name took over what this one counted, since it "
        f"gave no sign of life for {LEASE:.0f} s"
    )
