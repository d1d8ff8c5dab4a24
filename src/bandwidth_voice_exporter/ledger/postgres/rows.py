"""Call legs as rows of the shared ledger, and back."""

import uuid
from collections.abc import Iterable

import msgspec

from bandwidth_voice_exporter.ledger.postgres.connection import Record
from bandwidth_voice_exporter.ledger.postgres.schema import ROW_BITS
from bandwidth_voice_exporter.ledger.table import COLUMNS, Numbered
from bandwidth_voice_exporter.voice import CallEnded

# A leg without an id of its own has one made up, so that it can be written again after an error.
MADE_UP = "\N{SECTION SIGN}\N{SECTION SIGN}"
AFTER = "\N{SECTION SIGN}\N{DIAERESIS}"  # all of these

NAMES = ", ".join(COLUMNS)
SELECT = f"SELECT {NAMES} FROM legs"  # noqa: S608  # constants

# All rows are one parameter: the server takes it apart in two thirds of the time of an array for
# each column, and the driver makes it in half.
INSERT = f"""
    INSERT INTO legs ({NAMES}) SELECT {NAMES} FROM unnest($1::leg[])
    ON CONFLICT (call_id, event_type) DO NOTHING
"""  # noqa: S608  # constants


def first_row(replica: int) -> int:
    """Return the number that a replica's rows come after."""
    return replica << ROW_BITS


def replica_of(row: int) -> int:
    """Return the id of the replica that counts a row."""
    return row >> ROW_BITS


def keyed(call: CallEnded) -> CallEnded:
    """Return a call by whose id its leg can be told from all others, and that can be written."""
    if call.error_message and "\0" in call.error_message:  # which no text of PostgreSQL's has
        call = msgspec.structs.replace(call, error_message=call.error_message.replace("\0", " "))
    if call.call_id is None:
        return msgspec.structs.replace(call, call_id=MADE_UP + uuid.uuid4().hex)
    return call


def tuples(numbered: Iterable[Numbered]) -> list[tuple[object, ...]]:
    """Return calls and their rows as values of ``COLUMNS``.

    They are always in one order: two writers of the same legs never wait for each other in a
    circle.
    """
    return [(row, *msgspec.structs.astuple(call)) for row, call in sorted(numbered, key=_leg_of)]


def _leg_of(numbered: Numbered) -> tuple[str, str]:
    _, call = numbered
    return call.call_id or "", call.event_type


def numbered(record: Record) -> Numbered:
    """Return the call of a row's COLUMNS."""
    row, *values = record
    return row, without_made_up(CallEnded(*values))


def without_made_up(call: CallEnded) -> CallEnded:
    """Return a call as it came, without the id that was made up for it."""
    if call.call_id and call.call_id.startswith(MADE_UP):
        return msgspec.structs.replace(call, call_id=None)
    return call
