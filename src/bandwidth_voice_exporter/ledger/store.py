"""The ledger's database: a row per call leg, and the totals that some of the rows have come to.

The only module that writes with SQLite; reader looks things up. Every method is called from one
thread at a time, and raises StoreError where the disk does not do what it is asked.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import directory
from bandwidth_voice_exporter.ledger.schema import MIGRATIONS
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import HANGUP, CallEnded

FILE = directory.LEDGER

_COLUMNS = ("id", *CallEnded.__struct_fields__)
_ROW = f"({', '.join('?' * len(_COLUMNS))})"
_CHUNK = 999 // len(_COLUMNS)  # rows in a statement: every SQLite takes 999 parameters
_WALK = 1000  # rows that one pruning step looks at
_BUSY_SECONDS = 1.0  # that another process may hold the database, below Bandwidth's timeout
_SHRINK = 256  # pages given back in one step
LOG_ROOM = 4 * 1024 * 1024  # bytes that the write-ahead log is cut to when it begins anew
_LONG_LOG = 4 * LOG_ROOM

# Pruning walks rows in their order: what it has passed it does not look at again.
_WALKED = """
    SELECT count(*), max(id),
        min(CASE WHEN (cause = :hangup) = :normal AND received BETWEEN :before AND :now
            THEN id END)
    FROM (SELECT id, cause, received FROM calls
        WHERE id > :seen AND id <= :through ORDER BY id LIMIT :walk)
"""
_DUE = """
    SELECT count(*), max(CASE WHEN received < :before THEN id END),
        max(CASE WHEN received < :before THEN received END)
    FROM calls WHERE id > :seen AND id <= :end AND (cause = :hangup) = :normal
"""
_DELETE = """
    DELETE FROM calls WHERE id IN (
        SELECT id FROM calls WHERE id > :gone AND id <= :end AND (cause = :hangup) = :normal
        ORDER BY id LIMIT :walk)
"""


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreError(Exception):
    """The disk, or what is on it, does not do; the message says why."""


class DamagedError(StoreError):
    """What is on the disk is not a ledger, or not one any more."""


class EmptyError(StoreError):
    """A database that nothing was ever written to."""


class NewerSchemaError(StoreError):
    """The ledger was written by a later version of the exporter."""


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
    """An open database."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._marks: dict[Kind, _Mark] = {"failure": _Mark(), "normal": _Mark()}
        try:
            self._inode = self._open(read_only=read_only)
        except sqlite3.Error as error:
            self.close()
            raise self._explained(error) from error
        except OSError as error:
            self.close()
            raise StoreError(str(error)) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close it; what was committed stays."""
        with contextlib.suppress(sqlite3.Error, AttributeError):  # not opened yet
            self._connection.close()

    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: what goes into a deleted one is lost."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def checkpoint(self) -> Checkpoint | None:
        """Return the totals that were saved last."""
        with self._errors():
            row = self._connection.execute("SELECT last_row, state FROM checkpoint").fetchone()
        return Checkpoint(*row) if row else None

    def calls_after(self, row: int) -> Iterator[tuple[int, CallEnded]]:
        """Yield the rows after one, in their order."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM calls WHERE id > ? ORDER BY id"  # noqa: S608  # constants
        with self._errors():
            for identifier, *values in self._connection.execute(query, (row,)):
                call = dict(zip(CallEnded.__struct_fields__, values, strict=True))
                yield identifier, CallEnded(**{**call, "answered": bool(call["answered"])})

    def recent_keys(self, limit: int) -> list[tuple[str, str]]:
        """Return event types and call ids of the newest rows, oldest first."""
        query = """
            SELECT event_type, call_id FROM calls WHERE call_id IS NOT NULL
            ORDER BY id DESC LIMIT ?
        """
        with self._errors():
            return self._connection.execute(query, (limit,)).fetchall()[::-1]

    def last_row(self) -> int:
        """Return the newest row's number; 0 where there is none."""
        with self._errors():
            row = self._connection.execute("SELECT max(id) FROM calls").fetchone()
        return row[0] or 0

    def rows(self) -> int:
        """Count the rows."""
        with self._errors():
            return int(self._connection.execute("SELECT count(*) FROM calls").fetchone()[0])

    def append(
        self, first: int, calls: Sequence[CallEnded], checkpoint: Checkpoint | None = None
    ) -> list[bool]:
        """Write calls as rows numbered from ``first``, durably; say of each whether it is new."""
        with self._transaction("append"):
            if checkpoint:
                self._replace(checkpoint)
            before = self._connection.total_changes
            for start in range(0, len(calls), _CHUNK):
                self._insert(first + start, calls[start : start + _CHUNK])
            inserted = self._connection.total_changes - before
            if inserted == len(calls):
                return [True] * inserted
            query = "SELECT id FROM calls WHERE id >= ?"
            there = {row for (row,) in self._connection.execute(query, (first,))}
            return [first + index in there for index in range(len(calls))]

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep totals in place of those saved before."""
        with self._transaction("checkpoint"):
            self._replace(checkpoint)

    def prune(self, kind: Kind, before: int, now: int, through: int) -> Pruned:
        """Take away some rows of a kind that were received before a time (microseconds).

        Rows from the future, of a clock that was wrong, keep no others, and go with the next that
        is due: they came before it. Rows after ``through`` stay: the saved totals are without them.
        """
        mark = self._marks[kind]
        seen = mark.seen if before <= now else mark.gone
        values: dict[str, int | str] = {
            "gone": mark.gone,
            "seen": seen,
            "through": through,
            "before": before,
            "now": now,
            "walk": _WALK,
            "hangup": HANGUP,
            "normal": kind == "normal",
        }
        with self._errors():
            walked, last, stop = self._connection.execute(_WALKED, values).fetchone()
            end = stop - 1 if stop else last or seen
            values["end"] = end
            others, due, newest = self._connection.execute(_DUE, values).fetchone()
        has_more = walked == _WALK and not stop
        if due is None:
            if seen == mark.gone and not others:
                mark.gone = end
            mark.seen = end
            return Pruned(kind, 0, 0, has_more)
        values["end"] = due
        with self._transaction("prune"):
            rows = self._connection.execute(_DELETE, values).rowcount
        if rows == _WALK:  # there may be more of those from the future
            return Pruned(kind, rows, min(newest, now), has_more=True)
        mark.gone = mark.seen = due
        return Pruned(kind, rows, min(newest, now), has_more)

    def look_again(self) -> None:
        """Forget which rows were from the future: the clock is another."""
        for mark in self._marks.values():
            mark.seen = mark.gone

    def shrink(self) -> None:
        """Give some pages back to the file system where many are free."""
        with self._errors():
            pages, free = self._pragma("page_count"), self._pragma("freelist_count")
            if free > pages // 8:
                with self._transaction("shrink"):
                    self._connection.execute(f"PRAGMA incremental_vacuum({_SHRINK})").fetchall()

    def used_bytes(self) -> int:
        """Return the size of the pages in use, which is all that pruning can make less."""
        with self._errors():
            pages = self._pragma("page_count") - self._pragma("freelist_count")
            return pages * self._pragma("page_size")

    def is_log_held(self) -> bool:
        """Whether a reader that stays keeps a long write-ahead log; without one it is cut."""
        if self.log_bytes() <= _LONG_LOG:
            return False
        with self._errors():
            self._connection.execute("PRAGMA busy_timeout = 0")  # calls wait meanwhile
            try:
                cut = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {round(_BUSY_SECONDS * 1000)}")
        return bool(cut[0])

    def file_bytes(self) -> int:
        """Return the size on disk, write-ahead log included."""
        return _size(self.path) + self.log_bytes()

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        return _size(Path(f"{self.path}-wal"))

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _open(self, *, read_only: bool) -> int:
        mode = "rwc"
        if read_only:
            # Without a write-ahead log there is none to be made, where nothing can be made.
            mode = "ro" if self.log_bytes() else "ro&immutable=1"
        else:
            directory.make(self.path)
        self._connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_SECONDS,
        )
        # What is damaged inside a text must neither stop a start nor be quoted in a message.
        self._connection.text_factory = lambda raw: raw.decode(errors="replace")
        if read_only:
            if not self._check_version():
                raise EmptyError(f"{self.path}: no ledger yet")
        else:
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA journal_size_limit = {LOG_ROOM}")
            self._migrate()
        return self.path.stat().st_ino

    def _check_version(self) -> int:
        version = self._pragma("user_version")
        if version > len(MIGRATIONS):
            raise NewerSchemaError(
                f"{self.path} has schema version {version}, this exporter knows "
                f"{len(MIGRATIONS)}: run the version that wrote it, or a later one"
            )
        return version

    def _migrate(self) -> None:
        known = self._check_version()
        for version, script in enumerate(MIGRATIONS[known:], known + 1):
            with self._transaction("migration"):
                for statement in filter(str.strip, script.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {version}")

    def _insert(self, first: int, calls: Sequence[CallEnded]) -> None:
        values: list[object] = []
        for row, call in enumerate(calls, first):
            values.append(row)
            values += msgspec.structs.astuple(call)
        rows = ", ".join([_ROW] * len(calls))
        self._connection.execute(f"INSERT OR IGNORE INTO calls VALUES {rows}", values)  # noqa: S608  # constants

    def _replace(self, checkpoint: Checkpoint) -> None:
        self._connection.execute("DELETE FROM checkpoint")
        self._connection.execute(
            "INSERT INTO checkpoint VALUES (?, ?)", (checkpoint.last_row, checkpoint.state)
        )

    @contextlib.contextmanager
    def _transaction(self, purpose: str) -> Iterator[None]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit(purpose)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _commit(self, purpose: str) -> None:
        del purpose  # tells the tests that kill the process which commit this is
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return (DamagedError if code in _DAMAGE else StoreError)(f"{self.path}: {error}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def set_aside(path: Path, now: datetime) -> Path:
    """Move a damaged database out of the way, under a name with the time; return its new place."""
    place = path.with_name(f"{path.name}.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("", "-wal", "-shm"):
        source = Path(f"{path}{suffix}")
        if source.exists():
            source.rename(f"{place}{suffix}")
    return place
