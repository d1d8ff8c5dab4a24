"""Rows by fingerprint: in a table, in pieces, in pieces made of pieces."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandwidth_voice_exporter.ledger import fingerprints
from bandwidth_voice_exporter.ledger.fingerprints import (
    Fingerprints,
    Run,
    Sealing,
    fingerprint,
)
from bandwidth_voice_exporter.ledger.piece import Piece, checksum, packed, unpacked

# Few enough that several rows have the same one, in the same bucket, at its ends.
MARKS = st.one_of(
    st.integers(0, 2**48 - 1), st.sampled_from((0, 1, 2**36 - 1, 2**36, 2**48 - 1, 2**48 - 2))
)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a piece be made of a hundred rows."""
    monkeypatch.setattr(fingerprints, "_SEAL", 100)


def seal_all(index: Fingerprints) -> None:
    """Make all the pieces that are due."""
    while sealing := index.sealing():
        index.put(sealing, built(sealing))


def built(sealing: Sealing) -> Piece:
    """Make a piece, all steps at once."""
    while True:
        try:
            next(sealing.building)
        except StopIteration as end:
            piece: Piece = end.value
            return piece


def filled(rows: int, run: Run = "normal") -> tuple[Fingerprints, dict[int, int]]:
    """Rows in commits of seven, and their fingerprints by row."""
    dice = random.Random(rows)
    index = Fingerprints()
    marks = {row: dice.getrandbits(48) for row in range(1, rows + 1)}
    numbered = [(mark, row) for row, mark in marks.items()]
    for start in range(0, rows, 7):
        index.add(run, numbered[start : start + 7])
        seal_all(index)
    return index, marks


@settings(max_examples=10, deadline=None)
@given(marks=st.lists(MARKS, min_size=150, max_size=350))
def test_what_is_in_is_found(marks: list[int]) -> None:
    """Every row is found by its fingerprint, however many have the same, sealed or not."""
    index = Fingerprints()
    for row, mark in enumerate(marks, 1):
        index.add("failure", [(mark, row)])
        if row % 50 == 0:
            seal_all(index)
    for row, mark in enumerate(marks, 1):
        assert ("failure", row) in index.find(mark)
        assert {found for _, found in index.find(mark)} == {
            number for number, one in enumerate(marks, 1) if one == mark
        }


def test_few_pieces_hold_many_rows() -> None:
    """Four pieces are made one, and four of those: all rows stay, and nothing else is found."""
    index, marks = filled(4_000)
    assert all(index.find(mark) == [("normal", row)] for row, mark in marks.items())
    dice = random.Random("others")
    assert not any(index.find(dice.getrandbits(48)) for _ in range(10_000))
    assert len(index._runs["normal"].pieces) < 20  # noqa: SLF001  # how many is the question


def test_rows_beyond_two_to_the_thirty_second() -> None:
    """Rows are told apart however large their numbers, and a piece does not span too many."""
    index = Fingerprints()
    rows = [5, 2**28, 2**31, 2**32 + 5, *range(2**33, 2**33 + 500)]
    for row in rows:
        index.add("normal", [(row * 7919 % 2**48, row)])
        seal_all(index)
    for row in rows:
        assert index.find(row * 7919 % 2**48) == [("normal", row)]


def test_a_piece_is_the_same_from_bytes() -> None:
    """Packed tables give the same piece, and a changed bit changes the sum."""
    index, marks = filled(107)
    (piece,) = index._runs["normal"].pieces  # noqa: SLF001  # what is packed
    whole = packed(piece)
    again = unpacked(piece.first, piece.last, whole)
    for row, mark in marks.items():
        assert list(again.rows(mark)) == ([row] if row <= piece.last else [])
    assert checksum(whole) != checksum(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])


def test_pieces_are_dropped_by_kind() -> None:
    """Pruning a kind drops its pieces that have no later row, and no piece of the other kind."""
    index, marks = filled(1000)
    index.add("failure", [(1, 1), (2, 1001)])
    assert index.drop("failure", 1000) == []
    gone = index.drop("normal", 700)
    assert gone
    last = max(piece.last for _, piece in gone)
    assert 300 < last <= 700
    assert all(index.find(mark) == [] for row, mark in marks.items() if row <= last)
    assert all(index.find(mark) == [("normal", row)] for row, mark in marks.items() if row > last)


def test_a_merge_of_what_is_dropped_is_not_due() -> None:
    """Pieces that are dropped while they are made one do not come back."""
    index = Fingerprints()
    for row in range(1, 500):
        index.add("normal", [(row, row)])
    while (sealing := index.sealing()) and not sealing.pieces:
        index.put(sealing, built(sealing))
    assert sealing
    assert index.is_due(sealing)
    index.drop("normal", 150)
    assert not index.is_due(sealing)


def test_another_ledger_keeps_what_was_counted() -> None:
    """Rows of a lost ledger are found, below the first that the new one can be asked for."""
    index = Fingerprints()
    assert index.adopt(1)
    index.add("normal", [(77, 5)])
    assert not index.adopt(1)
    assert index.since == 0
    assert not index.adopt(2)
    assert index.since == 6
    assert index.find(77) == [("normal", 5)]


def test_event_types_are_told_apart() -> None:
    """The legs of two types with one id have different fingerprints."""
    assert fingerprint("disconnect", "c-1") != fingerprint("transferDisconnect", "c-1")
    assert 0 <= fingerprint("disconnect", "c-1") < 2**48
