"""Taking away the rows that are due: rows are walked in their order, a bounded step at a time."""

from collections.abc import Generator
from contextlib import closing

import msgspec

from bandwidth_voice_exporter.ledger.database import Database, Row
from bandwidth_voice_exporter.metrics import KINDS, Kind

_WALK: dict[Kind, int] = {"failure": 1000, "normal": 100}  # rows, or batches, in a step

_WALKED: dict[Kind, str] = {
    "failure": """
        SELECT id, 1, received, received FROM calls
        WHERE id > ? AND id <= ? AND cause <> 'hangup' ORDER BY id LIMIT ?
    """,
    "normal": """
        SELECT last, rows, oldest, newest FROM batches
        WHERE first > ? AND last <= ? ORDER BY first LIMIT ?
    """,
}
_DELETE: dict[Kind, tuple[str, ...]] = {
    "failure": ("DELETE FROM calls WHERE id > ? AND id <= ? AND cause <> 'hangup'",),
    "normal": (
        "DELETE FROM batches WHERE first > ? AND first <= ?",
        "DELETE FROM bodies WHERE first > ? AND first <= ?",
    ),
}


class Pruned(msgspec.Struct, frozen=True):
    """A step's result: rows removed by kind, the newest one's time, whether there is more to do."""

    kind: Kind
    rows: int
    before: int
    has_more: bool


class Mark(msgspec.Struct):
    """How far it is with a kind: up to ``gone`` none is left, up to ``seen`` none is due."""

    gone: int = 0
    seen: int = 0


class _Due(msgspec.Struct):
    """A walk's result: the last row walked, the last one due, the newest time of these."""

    end: int
    row: int = 0
    received: int = 0
    others: bool = False  # rows from the future among them
    has_more: bool = False


class Pruning:
    """How far a database is pruned: rows passed once are not looked at again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: dict[Kind, Mark] = {kind: Mark() for kind in KINDS}

    def gone(self, kind: Kind) -> int:
        """Return the row up to which none of a kind is left."""
        return self._marks[kind].gone

    def look_again(self) -> None:
        """Forget which rows were from the future: the clock is another."""
        for mark in self._marks.values():
            mark.seen = mark.gone

    def step(self, kind: Kind, before: int, now: int, through: int) -> Pruned:
        """Take away some rows of a kind that were received before a time (microseconds).

        Rows from the future, of a clock that was wrong, keep no others, and go with the next that
        is due: they came before it. Rows after ``through`` stay.
        """
        mark = self._marks[kind]
        start = mark.seen if before <= now else mark.gone
        due = self._due(kind, start, before, now, through)
        if not due.row:
            if start == mark.gone and not due.others:
                mark.gone = due.end
            mark.seen = due.end
            return Pruned(kind, 0, 0, due.has_more)
        gone = list(self._walk(kind, mark.gone, due.row))  # those from the future too
        number = sum(rows for _, rows, _, _ in gone)
        with self._database.transaction("prune"):
            for statement in _DELETE[kind]:
                self._database.write(statement, (mark.gone, gone[-1][0]))
            self._database.write("UPDATE ledger SET rows = rows - ?", (number,))
        mark.gone = gone[-1][0]
        if mark.gone == due.row:
            mark.seen = due.row
        return Pruned(kind, number, min(due.received, now), due.has_more or mark.gone < due.row)

    def _due(self, kind: Kind, start: int, before: int, now: int, through: int) -> _Due:
        due = _Due(start)
        with closing(self._walk(kind, start, through)) as walk:
            for walked, (last, _, oldest, newest) in enumerate(walk, 1):
                if before <= oldest <= now or before <= newest <= now:
                    break
                due.end = last
                if newest < before:
                    due.row, due.received = last, max(due.received, newest)
                else:
                    due.others = True
                due.has_more = walked == _WALK[kind]
        return due

    def _walk(self, kind: Kind, after: int, through: int) -> Generator[Row, None, None]:
        return self._database.rows(_WALKED[kind], (after, through, _WALK[kind]))
