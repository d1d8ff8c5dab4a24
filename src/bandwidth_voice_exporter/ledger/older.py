"""The rows of an older ledger, one a call: moved in small steps, while it is used."""

from bandwidth_voice_exporter.ledger import batches
from bandwidth_voice_exporter.ledger.database import Database
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints, legs
from bandwidth_voice_exporter.ledger.table import HAS_INDEX, SELECT, numbered
from bandwidth_voice_exporter.voice import HANGUP

_AT_ONCE = 300  # rows in one commit: each was in an index at a place of its own

_SOME = f"{SELECT} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"


class Older:
    """Calls that failed stay where they are, the others go into batches; all get fingerprints.

    Until that is done a leg may be found only by the index that the older ledger had.
    """

    def __init__(self, database: Database, moved: int, until: int) -> None:
        self._database = database
        self.moved = moved
        self.until = until
        self.is_any = database.row(HAS_INDEX) is not None

    def has(self, event_type: str, call_id: str) -> bool:
        """Whether a leg is among the rows that are not moved yet; it may be if it is moved."""
        query = "SELECT 1 FROM calls WHERE call_id = ? AND event_type = ? AND id <= ?"
        return self._database.row(query, (call_id, event_type, self.until)) is not None

    def step(self, fingerprints: Fingerprints) -> None:
        """Move some of them, or end it where none is left."""
        if self.moved >= self.until:
            self.end()
            return
        found = self._database.rows(_SOME, (self.moved, self.until, _AT_ONCE))
        rows = [numbered(row) for row in found]
        through = rows[-1][0] if len(rows) == _AT_ONCE else self.until
        normal = [(row, call) for row, call in rows if call.cause == HANGUP]
        failures = [(row, call) for row, call in rows if call.cause != HANGUP]
        with self._database.transaction("older"):
            batches.write(self._database, normal)
            self._database.write(
                "DELETE FROM calls WHERE id > ? AND id <= ? AND cause = ?",
                (self.moved, through, HANGUP),
            )
            self._database.write("UPDATE ledger SET older_moved = ?", (through,))
        self.moved = through
        fingerprints.add("older normal", legs(normal))
        fingerprints.add("older failure", legs(failures))

    def end(self) -> None:
        """Take away the index that nothing needs once all is moved."""
        with self._database.transaction("older"):
            self._database.write("DROP INDEX calls_by_call_id")
        self.is_any = False
