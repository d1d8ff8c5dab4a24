"""Calls that waited in a process that was succeeded: left for its successor to count."""

from collections.abc import Sequence

import msgspec

from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget, explained
from bandwidth_voice_exporter.voice import CallEnded

LeftCall = tuple[int, CallEnded]  # its number, and the call

_AT_ONCE = 500
_LEAVE = """
    INSERT INTO left_calls (replica, call)
    SELECT replicas.id, given.call FROM replicas, unnest($2::bytea[]) WITH ORDINALITY
        AS given (call, place)
    WHERE name = $1 ORDER BY place
"""
_FIND = "SELECT id, call FROM left_calls WHERE replica = $1 ORDER BY id LIMIT $2"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CallEnded).decode


async def put(target: LedgerTarget, calls: Sequence[CallEnded]) -> None:
    """Leave calls for whoever counts under a target's name. Raises StoreError."""
    connection = await target.connect()
    try:
        await connection.execute(_LEAVE, target.name, [_encode(call) for call in calls])
    except Exception as error:
        raise explained(error) from error
    finally:
        connection.terminate()


async def found(connection: PostgresConnection, replica: int) -> list[LeftCall]:
    """Return the first calls that were left for a replica."""
    records = await connection.fetch(_FIND, replica, _AT_ONCE)
    return [(number, _decode(call)) for number, call in records]


async def forget(connection: PostgresConnection, left: Sequence[LeftCall]) -> None:
    """Drop calls that are recorded: recorded again they would not be new."""
    await connection.execute(
        "DELETE FROM left_calls WHERE id = ANY($1::bigint[])", [number for number, _ in left]
    )
