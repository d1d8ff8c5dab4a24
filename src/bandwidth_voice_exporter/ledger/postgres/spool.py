"""Calls that were answered for while the database was away, until they are in it.

They are in a file where there is a directory for it, and in memory where there is none or its disk
fails. Every method is called from one thread at a time, and none but ``first`` fails.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import directory
from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.voice import CallEnded

FILE = "spool.sqlite3"
# Calls that wait in memory, in some 50 MB; more are counted, not recorded.
MOST = 50_000

_TABLES = """
    CREATE TABLE IF NOT EXISTS spool (
        id INTEGER PRIMARY KEY AUTOINCREMENT, is_counted INTEGER NOT NULL, call BLOB NOT NULL,
        base INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS identity (uuid BLOB NOT NULL);
"""
_COLUMNS = "SELECT name FROM pragma_table_info('spool')"
_ADD_BASE = "ALTER TABLE spool ADD COLUMN base INTEGER NOT NULL DEFAULT 0"  # of an older version
_AFTER = "SELECT id, is_counted, base, call FROM spool WHERE id > ? ORDER BY id LIMIT ?"
_COUNT = "SELECT count(*) FROM spool WHERE id > ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CallEnded).decode


class Entry(msgspec.Struct, frozen=True):
    """A call, with a key of its own, and whether it is in the totals shown.

    ``base`` is the last row of the replica's that was in these totals for sure; ``id`` the call's
    place in the file, 0 where it is in memory.
    """

    call: CallEnded
    is_counted: bool
    base: int = 0
    id: int = 0


class Spool:
    """Those of a directory, or of memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None
        self._memory: list[Entry] = []
        self._file: sqlite3.Connection | None = None
        self._merged_memory = 0
        self.merged = 0  # the last entry of the file that is in the database
        self.failure = ""
        self.identity = uuid.uuid4()
        self.lost = 0  # for which memory had no room
        with self._safely():
            self._open()

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep some, durably where that can be; more than memory holds are counted as lost."""
        with self._safely():
            if file := self._open():
                _write(file, entries)
                return
        room = max(0, MOST - len(self._memory))
        self._memory += entries[:room]
        self.lost += len(entries[room:])

    def first(self, most: int) -> list[Entry]:
        """Return the first entries that are not merged yet, the file's before memory's.

        Raises StoreError where the file cannot be read: nobody knows then whether some wait in it.
        """
        found: list[Entry] = []
        with self._safely():
            if self._file:
                found = [
                    Entry(_decode(call), bool(is_counted), base, number)
                    for number, is_counted, base, call in self._file.execute(
                        _AFTER, (self.merged, most)
                    )
                ]
        if self.failure and self._file:
            raise StoreError(
                f"the calls that wait in {self._path} cannot be read ({self.failure}): if that "
                f"lasts, move the file away, and they are lost"
            )
        return found or self._memory[self._merged_memory :][:most]

    def merge(self, entries: Sequence[Entry]) -> None:
        """Take the first ones for merged: they are in the database, but may be needed again."""
        if entries[-1].id:
            self.merged = entries[-1].id
        else:
            self._merged_memory += len(entries)

    def waiting(self) -> int:
        """Return how many are not merged."""
        number = len(self._memory) - self._merged_memory
        with self._safely():
            if self._file:
                number += self._file.execute(_COUNT, (self.merged,)).fetchone()[0]
        return number

    def forget(self) -> None:
        """Drop all merged entries: their totals are in the database."""
        del self._memory[: self._merged_memory]
        self._merged_memory = 0
        with self._safely():
            if self._file:
                self._file.execute("DELETE FROM spool WHERE id <= ?", (self.merged,))

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> sqlite3.Connection | None:
        if self._path is None or self._file:
            return self._file
        directory.make(self._path)
        file = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
        try:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = FULL")
            file.executescript(_TABLES)
            if ("base",) not in file.execute(_COLUMNS).fetchall():
                file.execute(_ADD_BASE)
            found = file.execute("SELECT uuid FROM identity").fetchone()
            if not found:
                file.execute("INSERT INTO identity VALUES (?)", (self.identity.bytes,))
        except sqlite3.Error:
            file.close()
            raise
        self.identity = uuid.UUID(bytes=found[0]) if found else self.identity
        self._file = file
        return file

    @contextlib.contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
            self.failure = ""
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            self.failure = str(error)


def _write(file: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    file.execute("BEGIN IMMEDIATE")
    try:
        file.executemany(
            "INSERT INTO spool (is_counted, base, call) VALUES (?, ?, ?)",
            [(entry.is_counted, entry.base, _encode(entry.call)) for entry in entries],
        )
        file.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            file.execute("ROLLBACK")
        raise
