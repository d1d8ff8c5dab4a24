"""The rows that may hold a call leg, by its id: in memory, nine bytes a row.

A leg's key is hashed to 48 bits. The newest rows of a run are in a dict; once it is full it becomes
a piece: a sorted table that never changes, and that is merged with others once there are four of a
size. A row found is a candidate, to be compared with the leg; a leg not found is not in the ledger.

One thread changes it; any may look.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from bandwidth_voice_exporter.ledger.piece import BITS, LONGEST, Building, Piece, merged, sealed
from bandwidth_voice_exporter.metrics import Kind
from bandwidth_voice_exporter.voice import CallEnded

Run = Literal["failure", "normal", "older failure", "older normal"]
RUNS: dict[Run, Kind] = {
    "normal": "normal",
    "failure": "failure",
    "older normal": "normal",
    "older failure": "failure",
}

_SEAL = 31_000  # rows: with what one commit may add, just below a power of two
_MERGED = 4  # pieces that one is made of
_MOST_MERGED = 3  # times: larger ones would take much memory while they are made

_Table = dict[int, int | tuple[int, ...]]
Candidate = tuple[Kind, int]


def fingerprint(event_type: str, call_id: str) -> int:
    """Return what a leg is found by."""
    key = f"{event_type} {call_id}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=BITS // 8).digest(), "big")


def legs(numbered: Iterable[tuple[int, CallEnded]]) -> list[tuple[int, int]]:
    """Return the fingerprints of calls that have an id, and their rows."""
    return [
        (fingerprint(call.event_type, call.call_id), row)
        for row, call in numbered
        if call.call_id is not None
    ]


class Sealing(msgspec.Struct, frozen=True):
    """A piece to make, step by step, in place of a full table or of smaller pieces."""

    run: Run
    building: Building
    pieces: tuple[Piece, ...] = ()


class _Newest:
    """The newest rows of a run, until they are many enough for a piece."""

    def __init__(self) -> None:
        self.table: _Table = {}
        self.first = self.last = 0

    def legs(self) -> Iterator[tuple[int, int]]:
        """Yield fingerprints and their rows."""
        for mark, rows in self.table.items():
            for row in _several(rows):
                yield mark, row


class _Rows:
    """The rows of a run, oldest first: pieces, tables that are to be pieces, the newest."""

    def __init__(self) -> None:
        self.pieces: tuple[Piece, ...] = ()
        self.full: tuple[_Newest, ...] = ()
        self.newest = _Newest()

    def last(self) -> int:
        """Return the newest row; 0 where there is none."""
        if self.newest.last or self.full:
            return self.newest.last or self.full[-1].last
        return self.pieces[-1].last if self.pieces else 0


class Fingerprints:
    """Rows by fingerprint, in runs whose rows only go up."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._ledger: int | None = None
        self.since = 0  # the first row that can be compared: the others were in a lost ledger
        self._runs: dict[Run, _Rows] = {run: _Rows() for run in RUNS}
        self._publish()

    def adopt(self, ledger: int) -> bool:
        """Go on with a ledger; say whether its pieces are to be loaded first."""
        is_empty = self._ledger is None
        if self._ledger not in (None, ledger):
            self.since = 1 + max(rows.last() for rows in self._runs.values())
            for rows in self._runs.values():
                if rows.newest.first:
                    self._close(rows)
        self._ledger = ledger
        return is_empty

    def find(self, fingerprint: int) -> list[Candidate]:
        """Return the rows that may hold a leg; nearly always none, or the one that does."""
        found: list[Candidate] = []
        for kind, table in self._tables:
            if fingerprint in table:
                found += [(kind, row) for row in _several(table[fingerprint])]
        for bits, shift, kind, piece in self._filters:
            if bits[fingerprint >> shift] >> (fingerprint & 7) & 1:
                found += [(kind, row) for row in piece.rows(fingerprint)]
        return found

    def last(self, run: Run) -> int:
        """Return the last row of a run; 0 where there is none."""
        return self._runs[run].last()

    def add(self, run: Run, legs: Sequence[tuple[int, int]]) -> None:
        """Put in fingerprints and their rows, which are above those of the run that are in."""
        if not legs:
            return
        rows = self._runs[run]
        newest = rows.newest
        if newest.first and legs[-1][1] - newest.first >= LONGEST:
            newest = self._close(rows)
        table = newest.table
        newest.first = newest.first or legs[0][1]
        for mark, row in legs:
            table[mark] = (*_several(table[mark]), row) if mark in table else row
        newest.last = legs[-1][1]
        if len(table) >= _SEAL:
            self._close(rows)

    def sealing(self) -> Sealing | None:
        """Return the rows or pieces that the next piece is made of."""
        for run, rows in self._runs.items():
            if rows.full:
                full = rows.full[0]
                return Sealing(run, sealed(full.first, full.last, full.legs()))
            pieces = _alike(rows.pieces, self.since)
            if pieces:
                return Sealing(run, merged(pieces), pieces)
        return None

    def is_due(self, sealing: Sealing) -> bool:
        """Whether everything to be replaced is still there, none of it dropped meanwhile."""
        return all(piece in self._runs[sealing.run].pieces for piece in sealing.pieces)

    def put(self, sealing: Sealing, piece: Piece) -> None:
        """Put a piece in the place of the rows or pieces it was made of."""
        rows = self._runs[sealing.run]
        if sealing.pieces:
            at = rows.pieces.index(sealing.pieces[0])
            after = rows.pieces[at + len(sealing.pieces) :]
            rows.pieces = (*rows.pieces[:at], piece, *after)
        else:
            rows.pieces = (*rows.pieces, piece)
            rows.full = rows.full[1:]
        self._publish()

    def load(self, run: Run, piece: Piece) -> None:
        """Put in a piece whose rows are above all that are in."""
        rows = self._runs[run]
        rows.pieces = (*rows.pieces, piece)
        self._publish()

    def drop(self, kind: Kind, through: int) -> list[tuple[Run, Piece]]:
        """Forget the pieces of a kind that have no row after one, and return them."""
        gone = []
        for run, rows in self._runs.items():
            if RUNS[run] == kind:
                old = [
                    one for one in rows.pieces if self.since <= one.first and one.last <= through
                ]
                rows.pieces = tuple(one for one in rows.pieces if one not in old)
                gone += [(run, one) for one in old]
        if gone:
            self._publish()
        return gone

    def _close(self, rows: _Rows) -> _Newest:
        """Let no later row share a piece with those that are in."""
        rows.full = (*rows.full, rows.newest)
        rows.newest = _Newest()
        self._publish()
        return rows.newest

    def _publish(self) -> None:
        # Before those it replaces are dropped: other threads may be looking.
        runs = [(RUNS[run], rows) for run, rows in self._runs.items()]
        self._filters = tuple(
            (piece.bits, piece.shift(), kind, piece)
            for kind, rows in runs
            for piece in reversed(rows.pieces)
        )
        self._tables = tuple(
            (kind, newest.table) for kind, rows in runs for newest in (rows.newest, *rows.full)
        )


def _several(rows: int | tuple[int, ...]) -> tuple[int, ...]:
    return rows if isinstance(rows, tuple) else (rows,)


def _alike(pieces: Sequence[Piece], since: int) -> tuple[Piece, ...]:
    """Return the first neighbours that are to be made one."""
    for at in range(len(pieces) - _MERGED + 1):
        some = pieces[at : at + _MERGED]
        if (
            len({_level(piece) for piece in some}) == 1
            and _level(some[0]) < _MOST_MERGED
            and some[0].first >= since
            and some[-1].last - some[0].first < LONGEST
        ):
            return tuple(some)
    return ()


def _level(piece: Piece) -> int:
    """Return how often it has been made of four."""
    return (len(piece.entries) // _SEAL).bit_length() // 2
