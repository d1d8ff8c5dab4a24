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
_BOOLEANS = ("answered", "is_reconciled")
_TEXTS = (
    *("event_type", "call_id", "parent_call_id", "sip_call_id", "application", "direction"),
    *("cause", "error_id", "error_message"),
)

_NAMES = ", ".join(COLUMNS)
SELECT = f"SELECT {_NAMES} FROM legs"  # noqa: S608  # constants


def _type(column: str) -> str:
    if column in _BOOLEANS:
        return "boolean"
    if column in _TEXTS:
        return "text"
    return "integer" if column == "sip_response_code" else "bigint"


_ARRAYS = ", ".join(f"${n}::{_type(column)}[]" for n, column in enumerate(COLUMNS, 1))
# Always in one order: two writers of the same legs never wait for each other in a circle.
INSERT = f"""
    INSERT INTO legs ({_NAMES})
    SELECT * FROM unnest({_ARRAYS}) AS given ({_NAMES}) ORDER BY call_id, event_type
    ON CONFLICT DO NOTHING RETURNING id
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


def arrays(numbered: Iterable[Numbered]) -> list[list[object]]:
    """Return calls and their rows column by column."""
    rows = [(row, *msgspec.structs.astuple(call)) for row, call in numbered]
    return [list(column) for column in zip(*rows, strict=True)]


def numbered(record: Record) -> Numbered:
    """Return the call of a row's COLUMNS."""
    row, *values = record
    return row, without_made_up(CallEnded(*values))


def without_made_up(call: CallEnded) -> CallEnded:
    """Return a call as it came, without the id that was made up for it."""
    if call.call_id and call.call_id.startswith(MADE_UP):
        return msgspec.structs.replace(call, call_id=None)
    return call
