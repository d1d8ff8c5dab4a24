"""How long calls can be found, and what to set to find them longer."""

import msgspec

from bandwidth_voice_exporter.metrics import MINUTE, Instruments, catalog
from bandwidth_voice_exporter.voice import SECOND


class Kept(msgspec.Struct, frozen=True):
    """How long calls are kept, in seconds."""

    failures: float
    normal: float


class Findable(msgspec.Struct, frozen=True):
    """The times since when failed and normal calls can be found (microseconds).

    ``are_cut`` says that the ledger's size has taken some of them before their time.
    """

    failures_since: int
    normal_since: int
    are_cut: bool


def findable(kept: Kept, instruments: Instruments, now: int) -> Findable:
    """Return what can be found at a time in microseconds."""
    pruned = instruments.by(catalog.LEDGER_PRUNED_BEFORE, "kind")
    failures, normal = (now - round(seconds * SECOND) for seconds in (kept.failures, kept.normal))
    cut_failures, cut_normal = (round(pruned[kind] * SECOND) for kind in ("failure", "normal"))
    return Findable(
        max(failures, cut_failures),
        max(normal, cut_normal),
        # Rows that go by their age are looked for once a second.
        are_cut=cut_failures > failures + MINUTE or cut_normal > normal + MINUTE,
    )
