"""Fingerprints on the disk: read at a start, made pieces and written in small steps meanwhile."""

from collections.abc import Iterator

from bandwidth_voice_exporter.ledger.database import Database
from bandwidth_voice_exporter.ledger.fingerprints import RUNS, Fingerprints, Run, Sealing
from bandwidth_voice_exporter.ledger.piece import Piece, checksum, packed, unpacked

_PART = 256 * 1024  # bytes in one commit

_PARTS = """
    SELECT packed FROM parts WHERE run = ? AND first = ? AND last = ? ORDER BY number
"""
_NO_PIECES = """
    DELETE FROM parts WHERE rowid IN (SELECT parts.rowid FROM parts LEFT JOIN pieces
        USING (run, first, last) WHERE pieces.run IS NULL LIMIT 1)
"""
_FORGET = "DELETE FROM pieces WHERE run = ? AND first = ? AND last = ?"


class Pieces:
    """Those of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._damaged: list[tuple[Run, int, int]] = []  # or after one that is
        self._has_strays = True  # parts of pieces never finished, or not wanted any more

    def load(self, fingerprints: Fingerprints) -> None:
        """Read all pieces; of a damaged run, those before the damage."""
        for run in RUNS:
            query = "SELECT first, last, checksum FROM pieces WHERE run = ? ORDER BY first"
            is_whole = True
            for first, last, expected in list(self._database.rows(query, (run,))):
                parts = self._database.rows(_PARTS, (run, first, last))
                whole = b"".join(part for (part,) in parts)
                is_whole = is_whole and checksum(whole) == expected
                if is_whole:
                    fingerprints.load(run, unpacked(first, last, whole))
                else:
                    self._damaged.append((run, first, last))

    def seal(self, fingerprints: Fingerprints, sealing: Sealing) -> Iterator[None]:
        """Make a piece and write it, in the place of those that it is made of, step by step.

        One of a ledger that was lost is only in memory.
        """
        piece = yield from sealing.building
        place = (sealing.run, piece.first, piece.last)
        if piece.first >= fingerprints.since:
            whole = packed(piece)
            for number, start in enumerate(range(0, len(whole), _PART)):
                with self._database.transaction("piece"):
                    self._database.write(
                        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                        (*place, number, whole[start : start + _PART]),
                    )
                yield
        self._has_strays = True
        if not fingerprints.is_due(sealing):
            return
        if piece.first >= fingerprints.since:
            with self._database.transaction("piece"):
                self._database.write(
                    "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?)", (*place, checksum(whole))
                )
                for old in sealing.pieces:
                    self._database.write(_FORGET, (sealing.run, old.first, old.last))
        fingerprints.put(sealing, piece)

    def forget(self, run: Run, piece: Piece) -> None:
        """Delete a piece, inside a transaction."""
        self._database.write(_FORGET, (run, piece.first, piece.last))
        self._has_strays = True

    def has_strays(self) -> bool:
        """Whether there may be something to clear."""
        return self._has_strays

    def clear(self) -> Iterator[None]:
        """Delete parts that are damaged or belong to no piece, step by step."""
        with self._database.transaction("piece"):
            for place in self._damaged:
                self._database.write(_FORGET, place)
        self._damaged.clear()
        yield
        while self._has_strays:
            with self._database.transaction("piece"):
                self._has_strays = self._database.write(_NO_PIECES) > 0
            yield
