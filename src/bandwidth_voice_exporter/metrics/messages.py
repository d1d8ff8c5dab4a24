"""Metrics as delimited io.prometheus.client.MetricFamily messages, native histograms among them.

Field numbers are those of https://github.com/prometheus/client_model, metrics.proto.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import sub
from threading import Lock
from typing import TypeVar

import msgspec
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import protobuf
from bandwidth_voice_exporter.metrics.catalog import Metric, MetricKind
from bandwidth_voice_exporter.metrics.encoded import Exemplars, Layout, label
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.series import Exemplar
from bandwidth_voice_exporter.metrics.snapshot import Distribution, Snapshot
from bandwidth_voice_exporter.voice import SECOND

_TYPES: Mapping[MetricKind, int] = {"counter": 0, "gauge": 1, "histogram": 4}
_COUNTER, _GAUGE, _HISTOGRAM = 3, 2, 7  # where a Metric has its value


_ShownT = TypeVar("_ShownT", bound=tuple[Key, *tuple[object, ...]])


class _Series(msgspec.Struct):
    """A series as it was encoded last, and of what."""

    labels: bytes
    value: int = -1
    exemplar: Exemplar | None = None
    shown: Distribution | NativeHistogram | None = None
    layout: Layout | None = None
    encoded: bytes = b""


class _Known(msgspec.Struct, frozen=True):
    """A family's series by their label values, in the order in which a snapshot has them."""

    keys: list[Key]
    series: list[_Series]


class Messages:
    """Encodes snapshots of some metrics; a series that is as it was is not encoded anew.

    ``names`` are applications' names by id. It may be used by several threads.
    """

    def __init__(self, names: Mapping[str, str], metrics: Sequence[Metric]) -> None:
        self._names = names
        self._metrics = metrics
        self._known: dict[str, _Known] = {}
        self._exemplars = Exemplars()
        self._lock = Lock()

    def write(self, snapshot: Snapshot) -> bytes:
        """Return all families, each after its length."""
        with self._lock:
            self._exemplars.turn()
            return b"".join(part for metric in self._metrics for part in self._of(metric, snapshot))

    def _of(self, metric: Metric, snapshot: Snapshot) -> list[bytes]:
        name = metric.name
        if metric.kind != "histogram":
            return _family(name, metric.help, metric.kind, self._counts(metric, snapshot))
        classics = self._classics(metric, snapshot)
        parts = _family(name, metric.help, metric.kind, classics)
        if natives := snapshot.natives.get(name):
            series = self._natives(metric, natives)
            parts += _family(metric.native, metric.help, metric.kind, series)
        return parts

    def _counts(self, metric: Metric, snapshot: Snapshot) -> list[bytes]:
        shown = snapshot.counts[metric.name]
        return [
            series.encoded
            if series.value == value and series.exemplar is exemplar
            else self._count(metric, series, value, exemplar)
            for series, (_, value, exemplar) in self._zipped(metric.name, metric.labels, shown)
        ]

    def _classics(self, metric: Metric, snapshot: Snapshot) -> list[bytes]:
        shown = snapshot.distributions[metric.name]
        return [
            series.encoded
            if series.shown == distribution
            else self._classic(metric.buckets, series, distribution)
            for series, (_, distribution) in self._zipped(metric.name, metric.labels, shown)
        ]

    def _natives(self, metric: Metric, shown: Sequence[tuple[Key, NativeHistogram]]) -> list[bytes]:
        labels = ("application", *metric.labels)
        return [
            series.encoded if series.shown is native else self._native(series, native)
            for series, (_, native) in self._zipped(metric.native, labels, shown)
        ]

    def _zipped(
        self, name: str, labels: tuple[str, ...], shown: Sequence[_ShownT]
    ) -> Iterable[tuple[_Series, _ShownT]]:
        """Return each series and its shown values: mostly in the order of the time before."""
        keys = [each[0] for each in shown]
        known = self._known.get(name)
        if known is None or known.keys != keys:
            before = dict(zip(known.keys, known.series, strict=True)) if known else {}
            series = [before.get(key) or _Series(self._pairs(labels, key)) for key in keys]
            known = self._known[name] = _Known(keys, series)
        return zip(known.series, shown, strict=True)

    def _pairs(self, labels: tuple[str, ...], key: Key) -> bytes:
        return b"".join(
            label(name, self._names.get(value, value) if name == "application" else value)
            for name, value in zip(labels, key, strict=True)
        )

    def _count(
        self, metric: Metric, series: _Series, count: int, exemplar: Exemplar | None
    ) -> bytes:
        series.value, series.exemplar = count, exemplar
        value = protobuf.double(1, count / SECOND if metric.micro else count)
        if exemplar and metric.kind == "counter":
            value += protobuf.message(2, self._exemplars.of(exemplar))
        number = _GAUGE if metric.kind == "gauge" else _COUNTER
        return _put(series, number, value)

    def _classic(self, bounds: Sequence[float], series: _Series, shown: Distribution) -> bytes:
        series.shown = shown
        below, buckets = 0, []
        for bound, count, exemplar in zip(
            (*bounds, float("inf")), shown.counts, shown.exemplars, strict=True
        ):
            below += count
            bucket = protobuf.unsigned(1, below) + protobuf.double(2, bound)
            if exemplar:
                bucket += protobuf.message(3, self._exemplars.again(exemplar))
            buckets.append(protobuf.message(3, bucket))
        head = protobuf.unsigned(1, below) + protobuf.double(2, shown.sum / SECOND)
        return _put(series, _HISTOGRAM, b"".join((head, *buckets)))

    def _native(self, series: _Series, shown: NativeHistogram) -> bytes:
        series.shown = shown
        layout = series.layout
        if layout is None or not layout.holds(shown):
            layout = series.layout = Layout(shown)
        counts = [*map(shown.buckets.__getitem__, layout.buckets)]
        # The counts after the first are given as differences from the one before.
        deltas = map(sub, counts, (0, *counts[:-1]))
        parts = (
            protobuf.unsigned(1, shown.zero + sum(counts)),
            protobuf.double(2, shown.sum / SECOND),
            protobuf.unsigned(7, shown.zero),
            layout.encoded,
            protobuf.signed_list(13, deltas) if counts else b"",
            protobuf.message(16, self._exemplars.brief(shown.exemplar)) if shown.exemplar else b"",
        )
        return _put(series, _HISTOGRAM, b"".join(parts))


def _put(series: _Series, number: int, value: bytes) -> bytes:
    series.encoded = protobuf.message(4, series.labels + protobuf.message(number, value))
    return series.encoded


def of_collector(collector: Collector) -> bytes:
    """Encode what prometheus_client collects: counters, gauges and classic histograms."""
    return b"".join(part for family in collector.collect() for part in _of_family(family))


def _family(name: str, text: str, kind: MetricKind, metrics: list[bytes]) -> list[bytes]:
    """Return a family in parts, its length first: nothing as large is copied twice."""
    head = protobuf.string(1, name) + protobuf.string(2, text) + protobuf.unsigned(3, _TYPES[kind])
    return [protobuf.varint(len(head) + sum(map(len, metrics))), head, *metrics]


def _of_family(family: Family) -> list[bytes]:
    if family.type == "histogram":
        return _family(
            family.name, family.documentation, "histogram", [*_histograms(family.samples)]
        )
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
