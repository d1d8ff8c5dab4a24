"""A read transaction of bounded time, and the reads in one."""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from bandwidth_voice_exporter.ledger import batches, table
from bandwidth_voice_exporter.ledger.database import DamagedError, Parameters, Row
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.voice import CallEnded, is_pseudonym

_AT_ONCE = 900  # rows by number: every SQLite takes 999 parameters


class ReadError(Exception):
    """The ledger cannot be read; the message says why."""


class SlowError(ReadError):
    """The answer cannot be found in the time allowed."""


class ReadTransaction(msgspec.Struct, frozen=True):
    """A read transaction, and whether its time is over."""

    connection: sqlite3.Connection
    is_over: Callable[[], bool]

    def rows(self, statement: str, values: Parameters = ()) -> list[Row]:
        """Return what a statement finds. Raises SlowError."""
        if self.is_over():
            raise too_slow()
        return self.connection.execute(statement, values).fetchall()


def too_slow() -> SlowError:
    """Return the error of an answer that cannot be found in time."""
    return SlowError("this took too long: ask for a cause, or for less time")


def by_rows(look: ReadTransaction, rows: Sequence[int]) -> list[Numbered]:
    """Return the calls that have these rows of their own."""
    calls: list[Numbered] = []
    for start in range(0, len(rows), _AT_ONCE):
        numbers = rows[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(numbers))
        calls += map(table.numbered, look.rows(f"{table.SELECT} WHERE id IN ({marks})", numbers))
    return calls


def batch(look: ReadTransaction, row: int) -> list[Numbered]:
    """Return the calls of the batch that a row is in, if there is one."""
    try:
        return [
            one for batch in look.rows(batches.HOLDING, (row,)) for one in batches.unpack(*batch)
        ]
    except DamagedError as error:
        raise ReadError(str(error)) from error


def shown(call: CallEnded) -> CallEnded:
    """Return a call without the pseudonym that only serves to recognise it."""
    if call.call_id and is_pseudonym(call.call_id):
        return msgspec.structs.replace(call, call_id=None)
    return call
