"""The tally as Prometheus's metric families, as one scrape sees it."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from bandwidth_voice_exporter import catalog, series
from bandwidth_voice_exporter.error_ids import Key
from bandwidth_voice_exporter.event import SECOND
from bandwidth_voice_exporter.tally import Tally

_ZERO = series.Count()


class _Distribution(msgspec.Struct, frozen=True):
    counts: tuple[int, ...]
    sum: int
    exemplars: tuple[series.Exemplar | None, ...]


class Snapshot:
    """The call metrics at one moment; ``collect`` may run in another thread."""

    def __init__(
        self,
        counts: Mapping[str, list[tuple[Key, int, series.Exemplar | None]]],
        distributions: Mapping[str, list[tuple[Key, _Distribution]]],
        names: Mapping[str, str],
    ) -> None:
        self._counts = counts
        self._distributions = distributions
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Yield every call metric, those without series included."""
        for metric in catalog.CALL_METRICS:
            if metric.kind == "histogram":
                yield self._histogram(metric)
            else:
                yield self._count(metric)

    def _count(self, metric: catalog.Metric) -> Metric:
        scale = SECOND if metric.micro else 1
        if metric.kind == "gauge":
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for key, value, _ in self._counts[metric.name]:
                gauge.add_metric(self._named(metric, key), value / scale)
            return gauge
        counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for key, value, exemplar in self._counts[metric.name]:
            counter.add_metric(
                self._named(metric, key), value / scale, exemplar=_exemplar(exemplar)
            )
        return counter

    def _histogram(self, metric: catalog.Metric) -> Metric:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [str(float(bound)) for bound in metric.buckets] + ["+Inf"]
        for key, distribution in self._distributions[metric.name]:
            below = 0
            buckets: list[tuple[str, float, Exemplar | None]] = []
            for bound, count, exemplar in zip(
                bounds, distribution.counts, distribution.exemplars, strict=True
            ):
                below += count
                buckets.append((bound, below, _exemplar(exemplar)))
            # prometheus_client's annotation has pairs only, its code takes triples too.
            family.add_metric(key, buckets, distribution.sum / SECOND)  # type: ignore[arg-type]
        return family

    def _named(self, metric: catalog.Metric, key: Key) -> Sequence[str]:
        if metric.labels[:1] == ("application",):
            return (self._names.get(key[0], key[0]), *key[1:])
        return key


def snapshot(tally: Tally, names: Mapping[str, str], now: int, *, is_scrape: bool) -> Snapshot:
    """Copy the totals at a time in microseconds; ``names`` are applications' names by id.

    To a scrape a newborn label set is shown at 0, so that ``increase()`` sees its first call.
    """
    tally.settle(now)
    held = tally.newborn if is_scrape else {}
    counts = {}
    distributions = {}
    for metric in catalog.CALL_METRICS:
        name = metric.name
        if metric.kind == "histogram":
            distributions[name] = [
                (key, _distribution(histogram, is_held=(name, key) in held))
                for key, histogram in tally.histograms[name].items()
            ]
        else:
            counts[name] = [
                (key, shown.value, shown.exemplar)
                for key, count in tally.counts[name].items()
                for shown in (_ZERO if (name, key) in held and metric.kind == "counter" else count,)
            ]
    return Snapshot(counts, distributions, names)


def _distribution(histogram: series.Histogram, *, is_held: bool) -> _Distribution:
    if is_held:
        buckets = len(histogram.counts)
        return _Distribution((0,) * buckets, 0, (None,) * buckets)
    return _Distribution(tuple(histogram.counts), histogram.sum, tuple(histogram.exemplars))


def _exemplar(exemplar: series.Exemplar | None) -> Exemplar | None:
    if exemplar is None:
        return None
    return Exemplar(exemplar.labels, exemplar.value / SECOND, exemplar.at / SECOND)
