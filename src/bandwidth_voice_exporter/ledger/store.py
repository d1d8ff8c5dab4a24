"""The ledger's database: what became of each call leg, and the totals that some have come to.

A call that failed is a row with indexes of its own, the calls of a commit that ended normally are a
batch. Whether a leg is new is told by its fingerprint, and by the row that this names. Every method
is called from one thread at a time, and raises StoreError where the disk does not do what it is
asked.
"""

import heapq
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from bandwidth_voice_exporter.ledger import batches, directory, table
from bandwidth_voice_exporter.ledger.database import DamagedError, Database, StoreError
from bandwidth_voice_exporter.ledger.fingerprints import (
    RUNS,
    Fingerprints,
    Found,
    Run,
    fingerprint,
    legs,
)
from bandwidth_voice_exporter.ledger.older import Older
from bandwidth_voice_exporter.ledger.pieces import Pieces
from bandwidth_voice_exporter.ledger.table import COLUMNS, Numbered
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import HANGUP, CallEnded

FILE = directory.LEDGER

_WALK: dict[Kind, int] = {"failure": 1000, "normal": 100}  # rows, or batches, in a pruning step
_READ = 1000  # rows at a time

_FAILURES_AFTER = f"SELECT {', '.join(COLUMNS)} FROM calls WHERE id > ? ORDER BY id"  # noqa: S608  # constants
_BATCHES_AFTER = "SELECT first, calls FROM bodies WHERE first > ? AND first <= ? ORDER BY first"
_LEGS_AFTER = f"""
    SELECT {", ".join(COLUMNS)} FROM calls WHERE id > ? AND id <= ? AND cause <> ? ORDER BY id
"""  # noqa: S608  # constants
_BATCH = "SELECT first, calls FROM bodies WHERE first <= ? ORDER BY first DESC LIMIT 1"
_LEG = "SELECT event_type, call_id FROM calls WHERE id = ?"
_ROWS_AFTER = """
    SELECT (SELECT count(*) FROM calls WHERE id > :row)
        + (SELECT ifnull(sum(rows), 0) FROM batches WHERE first > :row)
"""
_LAST = """
    SELECT max(ifnull((SELECT max(id) FROM calls), 0),
        ifnull((SELECT last FROM batches ORDER BY first DESC LIMIT 1), 0))
"""

# Pruning walks rows in their order: what it has passed it does not look at again.
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
_NO_END = 2**62


class Checkpoint(msgspec.Struct, frozen=True):
    """Encoded totals and the last row that is in them."""

    last_row: int
    state: bytes


class Pruned(msgspec.Struct, frozen=True):
    """What a pruning step took away: rows by kind, the newest one's time, is there more to do."""

    kind: Kind
    rows: int
    before: int
    has_more: bool


class _Mark(msgspec.Struct):
    """How far pruning is with a kind: up to ``gone`` none is left, up to ``seen`` none is due."""

    gone: int = 0
    seen: int = 0


class Store:
    """An open database, and the fingerprints of what is in it; these may be from before."""

    def __init__(
        self,
        path: Path,
        fingerprints: Fingerprints | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.fingerprints = fingerprints or Fingerprints()
        self._rows = 0
        self._marks: dict[Kind, _Mark] = {"failure": _Mark(), "normal": _Mark()}
        self._work: Iterator[None] | None = None
        self._database = Database(path, read_only=read_only)
        try:
            self._begin(read_only=read_only)
        except BaseException:
            self.close()
            raise

    def _begin(self, *, read_only: bool) -> None:
        found = self._database.row("SELECT id, rows, older_moved, older_until FROM ledger")
        if not found:
            raise DamagedError(f"{self.path}: it does not say which ledger it is")
        identifier, kept, moved, until = found
        saved = self.checkpoint()
        (after,) = self._database.row(_ROWS_AFTER, {"row": saved.last_row if saved else 0})
        self._rows = kept + after
        self._older = Older(self._database, moved, until)
        if self._older.is_any and not (until or read_only):
            self._older.end()  # a new ledger
        self._pieces = Pieces(self._database)
        if not self.fingerprints.adopt(identifier):
            self._read_legs(read_only=read_only)
            return
        try:
            self._pieces.load(self.fingerprints)
            self._read_legs(read_only=read_only)
        except BaseException:
            self.fingerprints.clear()  # half of them would be taken for all
            raise

    def close(self) -> None:
        """Close it; what was committed stays."""
        self._database.close()

    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: what goes into a deleted one is lost."""
        return self._database.is_in_place()

    def checkpoint(self) -> Checkpoint | None:
        """Return the totals that were saved last."""
        row = self._database.row("SELECT last_row, state FROM checkpoint")
        return Checkpoint(*row) if row else None

    def calls_after(self, row: int) -> Iterator[Numbered]:
        """Yield the calls after a row, in the order of their rows."""
        failures = map(table.numbered, self._database.rows(_FAILURES_AFTER, (row,)))
        yield from heapq.merge(failures, self._normal_after(row, _NO_END), key=itemgetter(0))

    def last_row(self) -> int:
        """Return the newest row's number; 0 where there is none."""
        return int(self._database.row(_LAST)[0])

    def rows(self) -> int:
        """Return how many calls there are."""
        return self._rows

    def append(
        self, first: int, calls: Sequence[CallEnded], checkpoint: Checkpoint | None = None
    ) -> list[bool]:
        """Write calls as rows numbered from ``first``, durably; say of each whether it is new."""
        is_new, marks = self._sifted(calls)
        fresh = [call for call, new in zip(calls, is_new, strict=True) if new]
        if not fresh and not checkpoint:
            return is_new
        normal: list[Numbered] = []
        failures: list[Numbered] = []
        by_kind: dict[Kind, list[tuple[int, int]]] = {"normal": [], "failure": []}
        for row, (call, mark) in enumerate(zip(fresh, marks, strict=True), first):
            is_normal = call.cause == HANGUP
            (normal if is_normal else failures).append((row, call))
            if mark is not None:
                by_kind["normal" if is_normal else "failure"].append((mark, row))
        with self._database.transaction("append"):
            if checkpoint:
                self._replace(checkpoint, self._rows + len(fresh))
            table.write(self._database, failures)
            batches.write(self._database, normal)
        self._rows += len(fresh)
        self.fingerprints.add("normal", by_kind["normal"])
        self.fingerprints.add("failure", by_kind["failure"])
        return is_new

    def has(self, call: CallEnded) -> bool:
        """Whether a leg is there; where the disk does not say, its fingerprint does."""
        if call.call_id is None:
            return False
        found = self.fingerprints.find(fingerprint(call.event_type, call.call_id))
        try:
            return self._is_there(call.event_type, call.call_id, found)
        except StoreError:
            return bool(found)

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep totals in place of those saved before."""
        with self._database.transaction("checkpoint"):
            self._replace(checkpoint, self._rows)

    def note(self, name: str) -> bytes | None:
        """Return what somebody noted under a name."""
        row = self._database.row("SELECT note FROM notes WHERE name = ?", (name,))
        return row[0] if row else None

    def put_note(self, name: str, note: bytes) -> None:
        """Keep a note in place of the one before."""
        with self._database.transaction("note"):
            self._database.write("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, note))

    def doubt(self, until: int) -> None:
        """Let it be known that calls counted until a time (microseconds) may be missing here."""
        with self._database.transaction("doubt"):
            self._database.write("UPDATE ledger SET doubted = ?", (until,))

    def prune(self, kind: Kind, before: int, now: int, through: int) -> Pruned:
        """Take away some rows of a kind that were received before a time (microseconds).

        Rows from the future, of a clock that was wrong, keep no others, and go with the next that
        is due: they came before it. Rows after ``through`` stay: the saved totals are without them.
        """
        mark = self._marks[kind]
        if kind == "normal" and self._older.is_any:
            through = min(through, self._older.moved)  # what is moved later comes before the rest
        end = seen = mark.seen if before <= now else mark.gone
        due = received = others = 0
        has_more = False
        with closing(self._walk(kind, seen, through)) as walk:
            for walked, (last, _, oldest, newest) in enumerate(walk, 1):
                if before <= oldest <= now or before <= newest <= now:
                    break
                end = last
                if newest < before:
                    due, received = last, max(received, newest)
                else:
                    others += 1
                has_more = walked == _WALK[kind]
        if not due:
            if seen == mark.gone and not others:
                mark.gone = end
            mark.seen = end
            self._drop(kind)
            return Pruned(kind, 0, 0, has_more)
        gone = list(self._walk(kind, mark.gone, due))  # those from the future too
        number = sum(some for _, some, _, _ in gone)
        with self._database.transaction("prune"):
            for statement in _DELETE[kind]:
                self._database.write(statement, (mark.gone, gone[-1][0]))
            self._database.write("UPDATE ledger SET rows = rows - ?", (number,))
        self._rows -= number
        mark.gone = gone[-1][0]
        if mark.gone == due:
            mark.seen = due
        self._drop(kind)
        return Pruned(kind, number, min(received, now), has_more or mark.gone < due)

    def look_again(self) -> None:
        """Forget which rows were from the future: the clock is another."""
        for mark in self._marks.values():
            mark.seen = mark.gone

    def shrink(self) -> None:
        """Give some pages back to the file system where many are free."""
        self._database.shrink()

    def tidy(self) -> bool:
        """Take a small step of what can wait; say whether there is more to do."""
        if self._work is None:
            self._work = self._next_work()
        if self._work is None:
            return False
        work, self._work = self._work, None
        for _ in work:
            self._work = work
            break
        return True

    def used_bytes(self) -> int:
        """Return the size of the pages in use, which is all that pruning can make less."""
        return self._database.used_bytes()

    def is_log_held(self) -> bool:
        """Whether a reader that stays keeps a long write-ahead log; without one it is cut."""
        return self._database.is_log_held()

    def file_bytes(self) -> int:
        """Return the size on disk, write-ahead log included."""
        return self._database.file_bytes()

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        return self._database.log_bytes()

    def _walk(self, kind: Kind, after: int, through: int) -> Generator[Any, None, None]:
        return self._database.rows(_WALKED[kind], (after, through, _WALK[kind]))

    def _drop(self, kind: Kind) -> None:
        """Let go of the fingerprints of rows that are gone."""
        if gone := self.fingerprints.drop(kind, self._marks[kind].gone):
            with self._database.transaction("piece"):
                for run, piece in gone:
                    self._pieces.forget(run, piece)

    def _next_work(self) -> Iterator[None] | None:
        if self._pieces.has_strays():
            return self._pieces.clear()
        if sealing := self.fingerprints.sealing():
            return self._pieces.seal(self.fingerprints, sealing)
        if self._older.is_any:
            return self._older.move(self.fingerprints)
        return None

    def _sifted(self, calls: Sequence[CallEnded]) -> tuple[list[bool], list[int | None]]:
        """Say of each call whether it is new; give the fingerprints of those that are."""
        is_new = []
        marks: list[int | None] = []
        seen: set[tuple[str, str]] = set()
        find = self.fingerprints.find
        for call in calls:
            if call.call_id is None:
                is_new.append(True)
                marks.append(None)
                continue
            leg = (call.event_type, call.call_id)
            mark = fingerprint(*leg)
            found = find(mark)
            may_be = found or self._older.is_any
            is_known = leg in seen or (may_be and self._is_there(*leg, found))
            is_new.append(not is_known)
            if not is_known:
                seen.add(leg)
                marks.append(mark)
        return is_new, marks

    def _is_there(self, event_type: str, call_id: str, found: Sequence[Found]) -> bool:
        for kind, row in found:
            if row < self.fingerprints.since:
                return True
            if row > self._marks[kind].gone and self._leg(kind, row) == (event_type, call_id):
                return True
        return self._older.is_any and self._older.has(event_type, call_id)

    def _leg(self, kind: Kind, row: int) -> tuple[str, str | None] | None:
        if kind == "failure":
            leg: tuple[str, str] | None = self._database.row(_LEG, (row,))
            return leg
        if batch := self._database.row(_BATCH, (row,)):
            for number, call in batches.unpack(*batch):
                if number == row:
                    return call.event_type, call.call_id
        return None

    def _normal_after(self, row: int, until: int) -> Iterator[Numbered]:
        for first, calls in self._database.rows(_BATCHES_AFTER, (row, until)):
            yield from batches.unpack(first, calls)

    def _read_legs(self, *, read_only: bool) -> None:
        """Take the fingerprints of the rows that are in no piece: they are few."""
        older = self._older
        spans: dict[Run, tuple[int, int]] = {
            "older normal": (0, older.moved),
            "older failure": (0, older.moved),
            "normal": (older.until, _NO_END),
            "failure": (older.until, _NO_END),
        }
        for run, (since, until) in spans.items():
            span = (max(since, self.fingerprints.last(run)), until)
            numbered = (
                self._normal_after(*span)
                if RUNS[run] == "normal"
                else map(table.numbered, self._database.rows(_LEGS_AFTER, (*span, HANGUP)))
            )
            while some := list(islice(numbered, _READ)):
                self.fingerprints.add(run, legs(some))
                while not read_only and (sealing := self.fingerprints.sealing()):
                    for _ in self._pieces.seal(self.fingerprints, sealing):
                        pass  # memory would not hold very many that wait for it

    def _replace(self, checkpoint: Checkpoint, kept: int) -> None:
        self._database.write("DELETE FROM checkpoint")
        self._database.write(
            "INSERT INTO checkpoint VALUES (?, ?)", (checkpoint.last_row, checkpoint.state)
        )
        self._database.write("UPDATE ledger SET rows = ?", (kept,))
