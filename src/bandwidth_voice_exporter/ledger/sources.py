"""Answers to a holder of another list of the same calls: which are here, and from which source."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bandwidth_voice_exporter.ledger import table
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints, fingerprint
from bandwidth_voice_exporter.ledger.look import ReadTransaction, batch, by_rows
from bandwidth_voice_exporter.ledger.table import BY_CALL_ID, HAS_INDEX, Numbered
from bandwidth_voice_exporter.metrics import Kind

_BOUNDS = """
    SELECT (SELECT received FROM calls ORDER BY id LIMIT 1),
        (SELECT oldest FROM batches ORDER BY first LIMIT 1), doubted FROM ledger
"""

Leg = tuple[str, str]  # event type, call id


class Horizon(msgspec.Struct, frozen=True):
    """The times, in microseconds, before which a ledger does not know its calls.

    ``first`` is when the oldest row was received, None without rows; of the calls counted before
    ``doubted`` some may be missing. Where others count in it too, rows received before ``pruned``
    may be gone, whoever took them away, and ``is_nameless`` says whether calls came without an id
    since the time that was asked about.
    """

    first: int | None
    doubted: int
    pruned: Mapping[Kind, int] = {}
    is_nameless: bool = False


def bounds(look: ReadTransaction) -> Horizon:
    """Return the times from which on the ledger knows whether a call was counted."""
    ((failure, normal, doubted),) = look.rows(_BOUNDS)
    first = min((row for row in (failure, normal) if row is not None), default=None)
    return Horizon(first, doubted)


def find(look: ReadTransaction, fingerprints: Fingerprints, legs: Sequence[Leg]) -> dict[Leg, bool]:
    """Return those of some legs that are there, and whether they are reconciled ones."""
    there: dict[Leg, bool] = {}
    failures: list[int] = []
    normal: list[int] = []
    for leg in legs:
        for kind, row in fingerprints.find(fingerprint(*leg)):
            if row < fingerprints.since:  # it cannot be compared, and is taken for it
                there[leg] = False
            else:
                (failures if kind == "failure" else normal).append(row)
    calls = by_rows(look, failures)
    calls += _in_batches(look, normal)
    if look.rows(HAS_INDEX):
        for _, call_id in legs:
            calls += map(table.numbered, look.rows(BY_CALL_ID, (call_id,)))
    there |= {
        (call.event_type, call.call_id): call.is_reconciled
        for _, call in calls
        if call.call_id is not None
    }
    return {leg: there[leg] for leg in legs if leg in there}


def _in_batches(look: ReadTransaction, rows: Iterable[int]) -> list[Numbered]:
    """Return the calls of rows that are in batches, each of which is decoded once."""
    calls: list[Numbered] = []
    through = 0
    for row in sorted(rows):
        if row > through:
            found = batch(look, row)
            calls += found
            through = found[-1][0] if found else row
    return calls
