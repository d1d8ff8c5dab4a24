"""The totals of a tally, and the limits that bound it."""

from collections.abc import Collection

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.error_ids import ErrorIds, Key
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.series import Count, Histogram
from bandwidth_voice_exporter.voice import SECOND


class Limits(msgspec.Struct, frozen=True):
    """The limits of a tally: configured application ids, caps, and the newborn hold (µs).

    If ``reconciles``, each series of calls has one beside it of those that were reconciled.
    """

    applications: tuple[str, ...] = ()
    max_applications: int = 50
    max_new_causes: int = 8
    max_error_ids: int = 100
    max_new_error_ids_per_minute: int = 10
    newborn_hold: int = 65 * SECOND
    exemplars: bool = True
    native_histograms: bool = False
    reconciles: bool = False


class Totals(msgspec.Struct):
    """The totals of a tally: the same calls, folded again, would give the same."""

    counts: dict[str, dict[Key, Count]]
    histograms: dict[str, dict[Key, Histogram]]
    newborn: dict[tuple[str, Key], int]
    causes: list[str]
    applications: list[str]
    codes: list[str]
    error_ids: ErrorIds
    natives: dict[str, dict[Key, NativeHistogram]] = {}

    def has(self, metric: str, key: Key) -> bool:
        """Whether there is such a series."""
        return any(
            key in series.get(metric, {}) for series in (self.counts, self.histograms, self.natives)
        )

    def drop_applications(self, identifiers: Collection[str]) -> None:
        """Let the counters of some applications begin anew."""
        for metric in catalog.CALL_METRICS:
            if metric.kind == "counter" and "application" in metric.labels:
                place = metric.labels.index("application")
                series = self.counts.get(metric.name, {})
                for key in [key for key in series if key[place] in identifiers]:
                    del series[key]
        for natives in self.natives.values():
            for key in [key for key in natives if key[0] in identifiers]:
                del natives[key]
