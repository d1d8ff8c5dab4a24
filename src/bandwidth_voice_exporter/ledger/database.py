"""An SQLite database: opened, migrated, written in transactions; its errors as ours.

Every method is called from one thread at a time, and raises StoreError if the disk fails.
"""

import contextlib
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger import directory
from bandwidth_voice_exporter.ledger.schema import MIGRATIONS, TEMPORARILY

Row = tuple[Any, ...]  # its columns are what the statement asks for
Parameters = Sequence[object] | Mapping[str, object]

_BUSY_SECONDS = 1.0  # that another process may hold the database, below Bandwidth's timeout
_SHRINK = 256  # pages given back in one step
LOG_ROOM = 4 * 1024 * 1024  # bytes that the write-ahead log is cut to when it begins anew
_LONG_LOG = 4 * LOG_ROOM
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreError(Exception):
    """The disk or the file on it cannot be used; the message says why."""


class DamagedError(StoreError):
    """The file on the disk is not a ledger, or not one any more."""


class EmptyError(StoreError):
    """A database that nothing was ever written to."""


class NewerSchemaError(StoreError):
    """The ledger was written by a later version of the exporter."""


class Database:
    """An open database."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
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
        """Close it; committed rows stay."""
        with contextlib.suppress(sqlite3.Error, AttributeError):  # not opened yet
            self._connection.close()

    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: rows in a deleted one are lost."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def rows(self, statement: str, values: Parameters = ()) -> Generator[Row, None, None]:
        """Yield what a statement finds."""
        with self._errors():
            yield from self._connection.execute(statement, values)

    def row(self, statement: str, values: Parameters = ()) -> Any:
        """Return the first that a statement finds, or None."""
        with self._errors():
            return self._connection.execute(statement, values).fetchone()

    def write(self, statement: str, values: Parameters = ()) -> int:
        """Execute a statement inside a transaction; return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    @contextlib.contextmanager
    def transaction(self, purpose: str) -> Iterator[None]:
        """Commit all writes inside durably, or none of them."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit(purpose)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give some pages back to the file system where many are free."""
        with self._errors():
            pages, free = self._pragma("page_count"), self._pragma("freelist_count")
            if free > pages // 8:
                with self.transaction("shrink"):
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
        # A damaged text must neither stop a start nor be quoted in a message.
        self._connection.text_factory = lambda raw: raw.decode(errors="replace")
        if read_only:
            if not self._check_version():
                raise EmptyError(f"{self.path}: no ledger yet")
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._migrate(temporarily=True)
        else:
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA journal_size_limit = {LOG_ROOM}")
            self._migrate()
            # A statement notes the pages that it changes, lest it fail half-way: else one commit in
            # ten would make a file for them. A migration may sort more than memory holds.
            self._connection.execute("PRAGMA temp_store = MEMORY")
        return self.path.stat().st_ino

    def _check_version(self) -> int:
        version = self._pragma("user_version")
        if version > len(MIGRATIONS):
            raise NewerSchemaError(
                f"{self.path} has schema version {version}, this exporter knows "
                f"{len(MIGRATIONS)}: run the version that wrote it, or a later one"
            )
        return version

    def _migrate(self, *, temporarily: bool = False) -> None:
        """Make the tables that are not there; temporarily they are this connection's alone."""
        known = self._check_version()
        for version, script in enumerate(MIGRATIONS[known:], known + 1):
            if temporarily:
                self._connection.executescript(TEMPORARILY.get(version, ""))
                continue
            with self.transaction("migration"):
                for statement in filter(str.strip, script.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {version}")

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
