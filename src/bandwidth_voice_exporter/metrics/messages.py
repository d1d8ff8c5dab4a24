"""Metrics as delimited io.prometheus.client.MetricFamily messages, native histograms among them.

Field numbers are those of https://github.com/prometheus/client_model, metrics.proto.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import sub
from threading import Lock

import msgspec
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import protobuf
from bandwidth_voice_exporter.metrics.catalog import Metric, MetricKind
from bandwidth_voice_exporter.metrics.encoded import Exemplars, Layout, label
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.render import spared
from bandwidth_voice_exporter.metrics.series import Exemplar
from bandwidth_voice_exporter.metrics.snapshot import Distribution, Snapshot
from bandwidth_voice_exporter.voice import SECOND

_TYPES: Mapping[MetricKind, int] = {"counter": 0, "gauge": 1, "histogram": 4}
_COUNTER, _GAUGE, _HISTOGRAM = 3, 2, 7  # where a Metric has its value


class _Series(msgspec.Struct):
    """A series as it was encoded last, and of what."""

    labels: bytes
    value: int = -1
    exemplar: Exemplar | None = None
    shown: Distribution | NativeHistogram | None = None
    layout: Layout | None = None
    encoded: bytes = b""


class Messages:
    """Encodes snapshots of some metrics; a series that is as it was is not encoded anew.

    ``names`` are applications' names by id. It may be used by several threads.
    """

    def __init__(self, names: Mapping[str, str], metrics: Sequence[Metric]) -> None:
        self._names = names
        self._metrics = metrics
        self._series: dict[str, dict[Key, _Series]] = {}
        self._exemplars = Exemplars()
        self._lock = Lock()

    def write(self, snapshot: Snapshot) -> bytes:
        """Return all families, each after its length."""
        with self._lock:
            self._exemplars.turn()
            return b"".join(part for metric in self._metrics for part in self._of(metric, snapshot))

    def _of(self, metric: Metric, snapshot: Snapshot) -> Iterator[bytes]:
        name, labels = metric.name, metric.labels
        if metric.kind != "histogram":
            counts = snapshot.counts[name]
            yield self._family(name, metric, self._counts(metric, counts))
            return
        classic = snapshot.distributions[name]
        known = self._known(name, classic)
        yield self._family(name, metric, self._histograms(metric, known, labels, classic))
        if natives := snapshot.natives.get(name):
            known = self._known(metric.native, natives)
            labels = ("application", *labels)
            histograms = self._histograms(metric, known, labels, natives)
            yield self._family(metric.native, metric, histograms)

    def _family(self, name: str, metric: Metric, metrics: Iterable[bytes]) -> bytes:
        return _family(name, metric.help, metric.kind, metrics)

    def _known(
        self, name: str, series: Sequence[tuple[Key, *tuple[object, ...]]]
    ) -> dict[Key, _Series]:
        known = self._series[name] = spared(self._series.get(name, {}), series)
        return known

    def _counts(
        self, metric: Metric, counts: Sequence[tuple[Key, int, Exemplar | None]]
    ) -> Iterator[bytes]:
        known = self._known(metric.name, counts)
        for key, value, exemplar in counts:
            series = known.get(key)
            if series is None:
                series = known[key] = _Series(self._pairs(metric.labels, key))
            if series.value != value or series.exemplar is not exemplar:
                series.value, series.exemplar = value, exemplar
                encoded = series.labels + self._count(metric, value, exemplar)
                series.encoded = protobuf.message(4, encoded)
            yield series.encoded

    def _histograms(
        self,
        metric: Metric,
        known: dict[Key, _Series],
        labels: tuple[str, ...],
        histograms: Sequence[tuple[Key, Distribution | NativeHistogram]],
    ) -> Iterator[bytes]:
        for key, shown in histograms:
            series = known.get(key)
            if series is None:
                series = known[key] = _Series(self._pairs(labels, key))
            if series.shown is not shown and series.shown != shown:
                series.shown = shown
                value = (
                    self._native(series, shown)
                    if isinstance(shown, NativeHistogram)
                    else self._classic(metric.buckets, shown)
                )
                value = protobuf.message(_HISTOGRAM, value)
                series.encoded = protobuf.message(4, series.labels + value)
            yield series.encoded

    def _pairs(self, labels: tuple[str, ...], key: Key) -> bytes:
        return b"".join(
            label(name, self._names.get(value, value) if name == "application" else value)
            for name, value in zip(labels, key, strict=True)
        )

    def _count(self, metric: Metric, count: int, exemplar: Exemplar | None) -> bytes:
        value = protobuf.double(1, count / SECOND if metric.micro else count)
        if metric.kind == "gauge":
            return protobuf.message(_GAUGE, value)
        if exemplar:
            value += protobuf.message(2, self._exemplars.of(exemplar))
        return protobuf.message(_COUNTER, value)

    def _classic(self, bounds: Sequence[float], shown: Distribution) -> bytes:
        below, buckets = 0, []
        for bound, count, exemplar in zip(
            (*bounds, float("inf")), shown.counts, shown.exemplars, strict=True
        ):
            below += count
            bucket = protobuf.unsigned(1, below) + protobuf.double(2, bound)
            if exemplar:
                bucket += protobuf.message(3, self._exemplars.of(exemplar))
            buckets.append(protobuf.message(3, bucket))
        head = protobuf.unsigned(1, below) + protobuf.double(2, shown.sum / SECOND)
        return b"".join((head, *buckets))

    def _native(self, series: _Series, shown: NativeHistogram) -> bytes:
        layout = series.layout
        if layout is None or not layout.holds(shown):
            layout = series.layout = Layout(shown)
        counts = [*map(shown.buckets.__getitem__, layout.buckets)]
        # Of the counts but the first it is told how much they differ from the one before.
        deltas = map(sub, counts, (0, *counts[:-1]))
        return b"".join(
            (
                protobuf.unsigned(1, shown.zero + sum(counts)),
                protobuf.double(2, shown.sum / SECOND),
                protobuf.unsigned(7, shown.zero),
                layout.encoded,
                protobuf.signed_list(13, deltas) if counts else b"",
                protobuf.message(16, self._exemplars.of(shown.exemplar)) if shown.exemplar else b"",
            )
        )


def of_collector(collector: Collector) -> bytes:
    """Encode what prometheus_client collects: counters, gauges and classic histograms."""
    return b"".join(map(_of_family, collector.collect()))


def _family(name: str, text: str, kind: MetricKind, metrics: Iterable[bytes]) -> bytes:
    head = protobuf.string(1, name) + protobuf.string(2, text) + protobuf.unsigned(3, _TYPES[kind])
    family = b"".join((head, *metrics))
    return protobuf.varint(len(family)) + family


def _of_family(family: Family) -> bytes:
    if family.type == "histogram":
        return _family(family.name, family.documentation, "histogram", _histograms(family.samples))
    is_counter = family.type == "counter"
    name = f"{family.name}_total" if is_counter else family.name
    return _family(
        name,
        family.documentation,
        "counter" if is_counter else "gauge",
        [
            _metric(
                sample.labels, _COUNTER if is_counter else _GAUGE, protobuf.double(1, sample.value)
            )
            for sample in family.samples
            if sample.name == name
        ],
    )


def _histograms(samples: Iterable[Sample]) -> Iterator[bytes]:
    """Put together what prometheus_client has as a sample for each bucket, the sum at the end."""
    buckets: list[bytes] = []
    count = 0
    for sample in samples:
        if sample.name.endswith("_bucket"):
            count = int(sample.value)
            bound = float(sample.labels["le"])
            buckets.append(
                protobuf.message(3, protobuf.unsigned(1, count) + protobuf.double(2, bound))
            )
        elif sample.name.endswith("_sum"):
            value = (
                protobuf.unsigned(1, count) + protobuf.double(2, sample.value) + b"".join(buckets)
            )
            yield _metric(sample.labels, _HISTOGRAM, value)
            buckets = []


def _metric(labels: Mapping[str, str], number: int, value: bytes) -> bytes:
    pairs = b"".join(label(*pair) for pair in labels.items())
    return protobuf.message(4, pairs + protobuf.message(number, value))
