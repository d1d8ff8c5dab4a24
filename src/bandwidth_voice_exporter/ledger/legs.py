"""The call legs in the database, found by their fingerprints and the rows that these name."""

from collections.abc import Iterator, Sequence
from itertools import islice

from bandwidth_voice_exporter.ledger import batches, table
from bandwidth_voice_exporter.ledger.database import Database, StoreError
from bandwidth_voice_exporter.ledger.fingerprints import (
    RUNS,
    Candidate,
    Fingerprints,
    Run,
    fingerprint,
    legs,
)
from bandwidth_voice_exporter.ledger.older import Older
from bandwidth_voice_exporter.ledger.pieces import Pieces
from bandwidth_voice_exporter.ledger.pruning import Pruning
from bandwidth_voice_exporter.ledger.table import SELECT
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import HANGUP, CallEnded

_READ = 1000  # rows at a time
_NO_END = 2**62

_LEGS_AFTER = f"{SELECT} WHERE id > ? AND id <= ? AND cause <> ? ORDER BY id"
_LEG = "SELECT event_type, call_id FROM calls WHERE id = ?"


class Legs:
    """Those of a database that has rows of an older ledger or not, and is pruned."""

    def __init__(
        self, database: Database, fingerprints: Fingerprints, older: Older, pruning: Pruning
    ) -> None:
        self._database = database
        self._fingerprints = fingerprints
        self._older = older
        self._pruning = pruning

    def sifted(self, calls: Sequence[CallEnded]) -> tuple[list[bool], list[int | None]]:
        """Say of each call whether it is new; give the fingerprints of those that are."""
        is_new = []
        marks: list[int | None] = []
        seen: set[tuple[str, str]] = set()
        find = self._fingerprints.find
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

    def has(self, call: CallEnded) -> bool:
        """Whether a leg is there; where the disk does not say, its fingerprint does."""
        if call.call_id is None:
            return False
        found = self._fingerprints.find(fingerprint(call.event_type, call.call_id))
        try:
            return self._is_there(call.event_type, call.call_id, found)
        except StoreError:
            return bool(found)

    def read(self, pieces: Pieces, *, read_only: bool) -> None:
        """Take the fingerprints of the rows that are in no piece: they are few."""
        older, fingerprints = self._older, self._fingerprints
        spans: dict[Run, tuple[int, int]] = {
            "older normal": (0, older.moved),
            "older failure": (0, older.moved),
            "normal": (older.until, _NO_END),
            "failure": (older.until, _NO_END),
        }
        for run, (since, until) in spans.items():
            span = (max(since, fingerprints.last(run)), until)
            numbered = (
                batches.between(self._database, *span)
                if RUNS[run] == "normal"
                else map(table.numbered, self._database.rows(_LEGS_AFTER, (*span, HANGUP)))
            )
            self._take(run, numbered, None if read_only else pieces)

    def _take(self, run: Run, numbered: Iterator[table.Numbered], pieces: Pieces | None) -> None:
        while some := list(islice(numbered, _READ)):
            self._fingerprints.add(run, legs(some))
            while pieces and (sealing := self._fingerprints.sealing()):
                for _ in pieces.seal(self._fingerprints, sealing):
                    pass  # memory would not hold very many that wait for it

    def _is_there(self, event_type: str, call_id: str, found: Sequence[Candidate]) -> bool:
        for kind, row in found:
            if row < self._fingerprints.since:
                return True
            if row > self._pruning.gone(kind) and self._leg(kind, row) == (event_type, call_id):
                return True
        return self._older.is_any and self._older.has(event_type, call_id)

    def _leg(self, kind: Kind, row: int) -> tuple[str, str | None] | None:
        if kind == "failure":
            leg: tuple[str, str] | None = self._database.row(_LEG, (row,))
            return leg
        return batches.leg(self._database, row)
