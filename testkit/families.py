"""A snapshot as prometheus_client's own families, whose lines are the measure of ours."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import catalog, series
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.snapshot import Snapshot
from bandwidth_voice_exporter.voice.clock import SECOND


class Families(Collector):
    """The families of a snapshot; ``names`` are applications' names by id."""

    def __init__(
        self,
        snapshot: Snapshot,
        names: Mapping[str, str],
    ) -> None:
        self.snapshot = snapshot
        self.names = names
        self._counts = snapshot.counts
        self._distributions = snapshot.distributions
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


def _exemplar(exemplar: series.Exemplar | None) -> Exemplar | None:
    if exemplar is None:
        return None
    return Exemplar(exemplar.labels, exemplar.value / SECOND, exemplar.at / SECOND)
