"""The calls of a commit that ended normally, as one blob: they are looked up, never listed."""

import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bandwidth_voice_exporter.ledger.database import DamagedError, Database
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.voice import DISCONNECT, CallEnded

# In one blob: looking one of them up reads all.
MOST = 64

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[int], list[CallEnded]]).decode


class _Leg(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The first fields of a call: the rest is passed over, in a third of the time."""

    received: int
    event_type: str
    call_id: str | None


_decode_legs = msgspec.msgpack.Decoder(tuple[list[int], list[_Leg]]).decode


_BATCH = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)"
_BODY = "INSERT INTO bodies VALUES (?, ?)"
_BETWEEN = "SELECT first, calls FROM bodies WHERE first > ? AND first <= ? ORDER BY first"
HOLDING = "SELECT first, calls FROM bodies WHERE first <= ? ORDER BY first DESC LIMIT 1"


def write(database: Database, numbered: Sequence[Numbered]) -> None:
    """Write calls and their rows, in the order of these, inside a transaction."""
    for start in range(0, len(numbered), MOST):
        some = numbered[start : start + MOST]
        first, calls = some[0][0], [call for _, call in some]
        received = [call.received for call in calls]
        disconnects = sum(call.event_type == DISCONNECT for call in calls)
        times = (min(received), max(received))
        place = (first, some[-1][0], len(some))
        database.write(_BATCH, (*place, disconnects, *times, _hashes(calls)))
        database.write(_BODY, (first, _encode(([row - first for row, _ in some], calls))))


def between(database: Database, after: int, through: int) -> Iterator[Numbered]:
    """Yield the calls of the batches that begin after a row and not after another."""
    for first, calls in database.rows(_BETWEEN, (after, through)):
        yield from unpack(first, calls)


def leg(database: Database, row: int) -> tuple[str, str | None] | None:
    """Return event type and call id of a row, None where it is in no batch. Raises DamagedError."""
    batch = database.row(HOLDING, (row,))
    if batch is None:
        return None
    first, calls = batch
    try:
        offsets, legs = _decode_legs(calls)
    except msgspec.DecodeError:
        raise _damaged(first) from None
    if row - first not in offsets:
        return None
    found = legs[offsets.index(row - first)]
    return found.event_type, found.call_id


def unpack(first: int, calls: bytes) -> list[Numbered]:
    """Return the calls of a batch and their rows. Raises DamagedError."""
    try:
        offsets, ended = _decode(calls)
    except msgspec.DecodeError:
        raise _damaged(first) from None
    return [(first + offset, call) for offset, call in zip(offsets, ended, strict=True)]


def _damaged(first: int) -> DamagedError:
    return DamagedError(f"the batch of row {first} is damaged")


def hashed(text: str) -> bytes:
    """Return what an id is looked for by in the hashes."""
    return zlib.crc32(text.encode()).to_bytes(4, "little")


def _hashes(calls: Iterable[CallEnded]) -> bytes:
    """Return those of all ids but the call ids, which are found by their fingerprints."""
    return b"".join(
        hashed(text)
        for call in calls
        for text in (call.sip_call_id, call.parent_call_id, call.error_id)
        if text is not None
    )
