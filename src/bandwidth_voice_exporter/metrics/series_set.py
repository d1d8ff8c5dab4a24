"""All series of calls, and when each was born."""

from collections import Counter
from collections.abc import Iterable, Iterator

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import Metric
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.known import known_natives_of, known_of
from bandwidth_voice_exporter.metrics.native import Both, NativeHistogram
from bandwidth_voice_exporter.metrics.series import Count, Histogram
from bandwidth_voice_exporter.metrics.totals import Limits, Totals
from bandwidth_voice_exporter.voice import SECOND, CallEnded


class SeriesSet:
    """Series by metric and label set, those of totals to begin with.

    ``counts`` and ``histograms`` are keyed by the metric's name, then by its label values in the
    catalog's order; an application stands under its id. ``natives`` are native histograms, whose
    label values have an application's first; without them in ``limits`` there are none. ``newborn``
    has the birth (microseconds) of every label set that may not have been scraped at 0 yet.
    """

    def __init__(self, past: Totals, limits: Limits) -> None:
        self.counts = past.counts
        self.histograms = past.histograms
        self.natives = past.natives if limits.native_histograms else {}
        self.limits = limits
        self.newborn = past.newborn
        self._bounds = {
            metric.name: tuple(int(bound * SECOND) for bound in metric.buckets)
            for metric in catalog.CALL_METRICS
        }
        for metric in catalog.CALL_METRICS:
            series = self.histograms if metric.kind == "histogram" else self.counts
            series.setdefault(metric.name, {})

    def by_cause(self) -> Counter[str]:
        """Return all calls by cause."""
        return Counter(catalog.CALLS.by("cause", self._values(catalog.CALLS)))

    def by_application(self) -> dict[str, Counter[str]]:
        """Return each application's calls by cause."""
        applications: dict[str, Counter[str]] = {}
        for (application, _, cause, *_), value in self._values(catalog.CALLS):
            applications.setdefault(application, Counter())[cause] += value
        return applications

    def last_events(self) -> dict[str, int]:
        """Return when each application's last event was received (microseconds; 0 is never)."""
        return catalog.LAST_EVENT.by("application", self._values(catalog.LAST_EVENT))

    def step(self, by: int) -> None:
        """Take the births along with a clock that was set by some microseconds."""
        self.newborn = {key: born + by for key, born in self.newborn.items()}

    def _values(self, metric: Metric) -> Iterator[tuple[Key, int]]:
        return ((key, count.value) for key, count in self.counts[metric.name].items())

    def _count(self, metric: Metric, key: Key, born: int) -> Count:
        series = self.counts[metric.name]
        count = series.get(key)
        if count is None:
            count = series[key] = Count()
            self.newborn[metric.name, key] = born
        return count

    def _histogram(self, metric: Metric, key: Key, born: int) -> Histogram:
        series = self.histograms[metric.name]
        histogram = series.get(key)
        if histogram is None:
            histogram = series[key] = Histogram.of(self._bounds[metric.name])
            self.newborn[metric.name, key] = born
        return histogram

    def _reconciled(self, call: CallEnded, key: Key, born: int) -> Count:
        if self.limits.reconciles or call.is_reconciled:
            return self._count(catalog.RECONCILED_CALLS, key, born)
        return Count()

    def _last(self, call: CallEnded, key: Key, born: int) -> Count:
        # A call that no webhook reported is no event.
        return Count() if call.is_reconciled else self._count(catalog.LAST_EVENT, key, born)

    def _observed(self, metric: Metric, application: str, key: Key, born: int) -> Histogram | Both:
        histogram = self._histogram(metric, key, born)
        if not self.limits.native_histograms:
            return histogram
        return Both(histogram, self._native(metric, (application, *key), born))

    def _native(self, metric: Metric, key: Key, born: int) -> NativeHistogram:
        series = self.natives.setdefault(metric.name, {})
        native = series.get(key)
        if native is None:
            native = series[key] = NativeHistogram(born)
            self.newborn[metric.name, key] = born
        return native

    def bear_application(self, application: str, born: int) -> None:
        """Show an application's series at 0, from a time in microseconds on."""
        self._bear(known_of(application, reconciles=self.limits.reconciles), born)
        if self.limits.native_histograms:
            for metric, key in known_natives_of(application):
                self._native(metric, key, born)

    def _drop_error(self, key: Key) -> None:
        self.counts[catalog.CALL_ERRORS.name].pop(key, None)
        self.newborn.pop((catalog.CALL_ERRORS.name, key), None)

    def _bear(self, series: Iterable[tuple[Metric, Key]], born: int) -> None:
        for metric, key in series:
            bear = self._histogram if metric.kind == "histogram" else self._count
            bear(metric, key, born)
