"""The comparison with Bandwidth's list of calls, for the status page."""

from collections.abc import Iterator, Sequence

import msgspec

from bandwidth_voice_exporter.metrics import Instruments, catalog
from bandwidth_voice_exporter.voice import SECOND

_COVERED = 0.99


class Comparison(msgspec.Struct, frozen=True):
    """How the ledger stands beside Bandwidth's list of calls, since the start.

    It was last compared at ``last``, up to calls that started ``before``; 0 is never. ``others``
    have no clear verdict, and ``uncovered`` are the kinds that webhooks do not always report.
    ``failing`` is the reason for which it cannot be compared at present; empty if it can.
    """

    last: int
    before: int
    listed: int
    counted: int
    recorded: int
    missed: int
    others: int
    uncovered: Sequence[str]
    failing: str


def comparison_of(instruments: Instruments) -> Comparison | None:
    """Return the comparison's state if it is asked for."""
    calls = instruments.by(catalog.RECONCILE_CALLS, "verdict")
    if not calls:
        return None
    known = {verdict: int(calls[verdict]) for verdict in ("counted", "recorded", "missed")}
    listed = int(sum(calls.values()))
    coverage = instruments.values(catalog.RECONCILE_COVERAGE).items()
    return Comparison(
        last=round(instruments.one(catalog.RECONCILE_SUCCESS) * SECOND),
        before=round(instruments.one(catalog.RECONCILE_COMPARED) * SECOND),
        listed=listed,
        others=listed - sum(known.values()),
        uncovered=[" ".join(key) for key, ratio in sorted(coverage) if ratio < _COVERED],
        failing=instruments.reconcile.failing,
        **known,
    )


def warnings(comparison: Comparison | None) -> Iterator[str]:
    """Yield the steps that somebody should take."""
    if comparison and comparison.failing:
        yield (
            f"The last comparison with Bandwidth's list of calls was not finished "
            f"({comparison.failing}): calls that webhooks miss are not told of. The log says why."
        )
    if comparison and comparison.missed:
        yield (
            f"Webhooks missed {comparison.missed} calls that are in Bandwidth's list. With "
            f"--reconcile.record they are counted after a restart."
        )
    if comparison and comparison.uncovered:
        yield (
            f"Webhooks do not report all calls of: {', '.join(comparison.uncovered)}. Bandwidth "
            f"sends them where the application (CallStatusCallbackUrl), the call (disconnectUrl) "
            f"or the transfer (transferDisconnectUrl) asks for it."
        )
