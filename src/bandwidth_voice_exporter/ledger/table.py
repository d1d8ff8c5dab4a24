"""Calls as rows of the ledger's table of calls."""

from collections.abc import Sequence

import msgspec

from bandwidth_voice_exporter.ledger.database import Database, Row
from bandwidth_voice_exporter.voice import CallEnded

Numbered = tuple[int, CallEnded]

COLUMNS = ("id", *CallEnded.__struct_fields__)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM calls"  # noqa: S608  # constants
# Only of a ledger that began before fingerprints, until all of its rows have them.
HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'calls_by_call_id'"
BY_CALL_ID = f"{SELECT} WHERE call_id = ?"
_ROW = f"({', '.join('?' * len(COLUMNS))})"
_INSERT = "INSERT INTO calls VALUES"
_FLAGS = [CallEnded.__struct_fields__.index(name) for name in ("answered", "is_reconciled")]
_CHUNK = 999 // len(COLUMNS)  # rows in a statement: every SQLite takes 999 parameters


def write(database: Database, numbered: Sequence[Numbered]) -> None:
    """Write calls and their rows, inside a transaction."""
    for start in range(0, len(numbered), _CHUNK):
        some = numbered[start : start + _CHUNK]
        values: list[object] = []
        for row, call in some:
            values.append(row)
            values += msgspec.structs.astuple(call)
        database.write(f"{_INSERT} {', '.join([_ROW] * len(some))}", values)


def numbered(row: Row) -> Numbered:
    """Return the call of a row's COLUMNS."""
    number, *values = row
    for field in _FLAGS:
        values[field] = bool(values[field])
    return number, CallEnded(*values)
