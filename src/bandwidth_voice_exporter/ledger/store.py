"""The ledger's database: what became of each call leg, and the totals that some have come to.

A call that failed is a row with indexes of its own, the calls of a commit that ended normally are a
batch. A leg is known to be new by its fingerprint, and by the row that this names. Every method is
called from one thread at a time, and raises StoreError if the disk fails.
"""

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import batches, directory, table
from bandwidth_voice_exporter.ledger.database import DamagedError, Database
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.legs import Legs
from bandwidth_voice_exporter.ledger.older import Older
from bandwidth_voice_exporter.ledger.pieces import Pieces
from bandwidth_voice_exporter.ledger.pruning import Pruned, Pruning
from bandwidth_voice_exporter.ledger.table import SELECT, Numbered
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import HANGUP, CallEnded

FILE = directory.LEDGER

_NO_END = 2**62
_FAILURES_AFTER = f"{SELECT} WHERE id > ? ORDER BY id"
_ROWS_AFTER = """
    SELECT (SELECT count(*) FROM calls WHERE id > :row)
        + (SELECT ifnull(sum(rows), 0) FROM batches WHERE first > :row)
"""
_LAST = """
    SELECT max(ifnull((SELECT max(id) FROM calls), 0),
        ifnull((SELECT last FROM batches ORDER BY first DESC LIMIT 1), 0))
"""


class Saved(msgspec.Struct, frozen=True):
    """Encoded totals, and the last row that is in them."""

    last_row: int
    state: bytes


class Store:
    """An open database, and the fingerprints of its legs; these may be from before."""

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
        self._pruning = Pruning(self._database)
        self._legs = Legs(self._database, self.fingerprints, self._older, self._pruning)
        if not self.fingerprints.adopt(identifier):
            self._legs.read(self._pieces, read_only=read_only)
            return
        try:
            self._pieces.load(self.fingerprints)
            self._legs.read(self._pieces, read_only=read_only)
        except BaseException:
            self.fingerprints.clear()  # half of them would be taken for all
            raise

    def close(self) -> None:
        """Close it; committed rows stay."""
        self._database.close()

    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: rows in a deleted one are lost."""
        return self._database.is_in_place()

    def checkpoint(self) -> Saved | None:
        """Return the totals that were saved last."""
        row = self._database.row("SELECT last_row, state FROM checkpoint")
        return Saved(*row) if row else None

    def calls_after(self, row: int) -> Iterator[Numbered]:
        """Yield the calls after a row, in the order of their rows."""
        failures = map(table.numbered, self._database.rows(_FAILURES_AFTER, (row,)))
        normal = batches.between(self._database, row, _NO_END)
        yield from heapq.merge(failures, normal, key=itemgetter(0))

    def last_row(self) -> int:
        """Return the newest row's number; 0 where there is none."""
        return int(self._database.row(_LAST)[0])

    def rows(self) -> int:
        """Return how many calls there are."""
        return self._rows

    def append(
        self, first: int, calls: Sequence[CallEnded], saved: Saved | None = None
    ) -> list[bool]:
        """Write calls as rows numbered from ``first``, durably; say of each whether it is new."""
        is_new, marks = self._legs.sifted(calls)
        fresh = [call for call, new in zip(calls, is_new, strict=True) if new]
        if not fresh and not saved:
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
            if saved:
                self._replace(saved, self._rows + len(fresh))
            table.write(self._database, failures)
            batches.write(self._database, normal)
        self._rows += len(fresh)
        self.fingerprints.add("normal", by_kind["normal"])
        self.fingerprints.add("failure", by_kind["failure"])
        return is_new

    def has(self, call: CallEnded) -> bool:
        """Whether a leg is there; where the disk does not say, its fingerprint does."""
        return self._legs.has(call)

    def save(self, saved: Saved) -> None:
        """Keep totals in place of those saved before."""
        with self._database.transaction("checkpoint"):
            self._replace(saved, self._rows)

    def note(self, name: str) -> bytes | None:
        """Return what somebody noted under a name."""
        row = self._database.row("SELECT note FROM notes WHERE name = ?", (name,))
        return row[0] if row else None

    def notes(self) -> dict[str, bytes]:
        """Return all notes by name."""
        return dict(self._database.rows("SELECT name, note FROM notes"))

    def put_note(self, name: str, note: bytes) -> None:
        """Keep a note in place of the one before."""
        with self._database.transaction("note"):
            self._database.write("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, note))

    def doubt(self, until: int) -> None:
        """Let it be known that calls counted until a time (microseconds) may be missing here."""
        with self._database.transaction("doubt"):
            self._database.write("UPDATE ledger SET doubted = ?", (until,))

    def doubted(self) -> int:
        """Return the time (microseconds) before which counted calls may be missing here."""
        return int(self._database.row("SELECT doubted FROM ledger")[0])

    def prune(self, kind: Kind, before: int, now: int, through: int) -> Pruned:
        """Take away some rows of a kind that were received before a time (microseconds).

        Rows after ``through`` stay: the saved totals are without them.
        """
        if kind == "normal" and self._older.is_any:
            through = min(through, self._older.moved)  # rows moved later come before the rest
        pruned = self._pruning.step(kind, before, now, through)
        self._rows -= pruned.rows
        if gone := self.fingerprints.drop(kind, self._pruning.gone(kind)):
            with self._database.transaction("piece"):
                for run, piece in gone:
                    self._pieces.forget(run, piece)
        return pruned

    def look_again(self) -> None:
        """Forget which rows were from the future: the clock is another."""
        self._pruning.look_again()

    def shrink(self) -> None:
        """Give some pages back to the file system where many are free."""
        self._database.shrink()

    def tidy(self, *, is_log_held: bool = False) -> bool:
        """Take a small step of the work that can wait; return whether there may be more to do.

        While the log is held, no rows of an older ledger are moved: it would grow by all of them.
        """
        if self._work is None:
            self._work = self._next_work()
        if self._work is not None:
            work, self._work = self._work, None
            for _ in work:
                self._work = work
                break
            return True
        if self._older.is_any and not is_log_held:
            self._older.step(self.fingerprints)
            return True
        return False

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

    def _next_work(self) -> Iterator[None] | None:
        if self._pieces.has_strays():
            return self._pieces.clear()
        if sealing := self.fingerprints.sealing():
            return self._pieces.seal(self.fingerprints, sealing)
        return None

    def _replace(self, saved: Saved, kept: int) -> None:
        self._database.write("DELETE FROM checkpoint")
        self._database.write("INSERT INTO checkpoint VALUES (?, ?)", (saved.last_row, saved.state))
        self._database.write("UPDATE ledger SET rows = ?", (kept,))
