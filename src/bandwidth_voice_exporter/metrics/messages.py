"""Metrics as delimited io.prometheus.client.MetricFamily messages, native histograms among them.

Field numbers are those of https://github.com/prometheus/client_model, metrics.proto.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock

import msgspec
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import protobuf
from bandwidth_voice_exporter.metrics.catalog import Metric, MetricKind
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.series import Exemplar
from bandwidth_voice_exporter.metrics.snapshot import Distribution, Snapshot
from bandwidth_voice_exporter.voice import SECOND

_TYPES: Mapping[MetricKind, int] = {"counter": 0, "gauge": 1, "histogram": 4}
_COUNTER, _GAUGE, _HISTOGRAM = 3, 2, 7  # where a Metric has its value
_ZERO_THRESHOLD = 2.0**-128  # as client_golang's

# What a series was encoded of: that it is the same, or equal, says that its bytes are.
_Shown = tuple[int, Exemplar | None] | Distribution | NativeHistogram


class _Series(msgspec.Struct):
    """A series as it was encoded last, and of what."""

    labels: bytes
    shown: _Shown | None = None
    encoded: bytes = b""


class Messages:
    """Encodes snapshots of some metrics; a series that is as it was is not encoded anew.

    ``names`` are applications' names by id. It may be used by several threads.
    """

    def __init__(self, names: Mapping[str, str], metrics: Sequence[Metric]) -> None:
        self._names = names
        self._metrics = metrics
        self._series: dict[str, dict[Key, _Series]] = {}
        self._ids: dict[int, bytes] = {}  # of one snapshot's exemplars, many of which share them
        self._lock = Lock()

    def write(self, snapshot: Snapshot) -> bytes:
        """Return all families, each after its length."""
        with self._lock:
            self._ids.clear()
            return b"".join(part for metric in self._metrics for part in self._of(metric, snapshot))

    def _of(self, metric: Metric, snapshot: Snapshot) -> Iterator[bytes]:
        if metric.kind != "histogram":
            shown: dict[Key, _Shown] = {
                key: (value, exemplar) for key, value, exemplar in snapshot.counts[metric.name]
            }
            yield self._family(metric.name, metric, metric.labels, shown)
            return
        classic: dict[Key, _Shown] = {**dict(snapshot.distributions[metric.name])}
        yield self._family(metric.name, metric, metric.labels, classic)
        if natives := snapshot.natives.get(metric.name):
            yield self._family(
                metric.native, metric, ("application", *metric.labels), {**dict(natives)}
            )

    def _family(
        self, name: str, metric: Metric, labels: tuple[str, ...], shown: Mapping[Key, _Shown]
    ) -> bytes:
        known = self._series.setdefault(name, {})
        for key in known.keys() - shown:
            del known[key]
        return _family(name, metric.help, metric.kind, self._encoded(known, metric, labels, shown))

    def _encoded(
        self,
        known: dict[Key, _Series],
        metric: Metric,
        labels: tuple[str, ...],
        shown_by_key: Mapping[Key, _Shown],
    ) -> Iterator[bytes]:
        for key, shown in shown_by_key.items():
            series = known.get(key)
            if series is None:
                series = known[key] = _Series(self._pairs(labels, key))
            if series.shown is not shown and series.shown != shown:
                series.shown = shown
                series.encoded = protobuf.message(
                    4, series.labels + _value(metric, shown, self._ids)
                )
            yield series.encoded

    def _pairs(self, labels: tuple[str, ...], key: Key) -> bytes:
        return b"".join(
            _label(label, self._names.get(value, value) if label == "application" else value)
            for label, value in zip(labels, key, strict=True)
        )


def of_collector(collector: Collector) -> bytes:
    """Encode what prometheus_client collects: counters, gauges and classic histograms."""
    return b"".join(map(_of_family, collector.collect()))


def _value(metric: Metric, shown: _Shown, ids: dict[int, bytes]) -> bytes:
    if isinstance(shown, NativeHistogram):
        return protobuf.message(_HISTOGRAM, _native(shown, ids))
    if isinstance(shown, Distribution):
        return protobuf.message(_HISTOGRAM, _classic(metric.buckets, shown, ids))
    count, exemplar = shown
    value = protobuf.double(1, count / SECOND if metric.micro else count)
    if metric.kind == "gauge":
        return protobuf.message(_GAUGE, value)
    return protobuf.message(_COUNTER, value + (_exemplar(2, exemplar, ids) if exemplar else b""))


def _classic(bounds: Sequence[float], shown: Distribution, ids: dict[int, bytes]) -> bytes:
    below, buckets = 0, []
    for bound, count, exemplar in zip(
        (*bounds, float("inf")), shown.counts, shown.exemplars, strict=True
    ):
        below += count
        bucket = protobuf.unsigned(1, below) + protobuf.double(2, bound)
        buckets.append(
            protobuf.message(3, bucket + (_exemplar(3, exemplar, ids) if exemplar else b""))
        )
    return b"".join((protobuf.unsigned(1, below), protobuf.double(2, shown.sum / SECOND), *buckets))


def _native(shown: NativeHistogram, ids: dict[int, bytes]) -> bytes:
    return b"".join(
        (
            protobuf.unsigned(1, shown.count),
            protobuf.double(2, shown.sum / SECOND),
            protobuf.signed(5, shown.schema),
            protobuf.double(6, _ZERO_THRESHOLD),
            protobuf.unsigned(7, shown.zero),
            _buckets(shown.buckets),
            protobuf.message(15, _timestamp(shown.born)),
            _exemplar(16, shown.exemplar, ids) if shown.exemplar else b"",
        )
    )


def _buckets(buckets: Mapping[int, int]) -> bytes:
    """Encode runs of buckets without a gap, and by how much each count differs from the last."""
    spans: list[bytes] = []  # each the gap before it and its length
    deltas: list[int] = []
    begin = end = last = before = 0
    for bucket in sorted(buckets):
        if bucket != end:
            if deltas:
                spans.append(_span(begin - before, end - begin))
                before = end
            begin = bucket
        end = bucket + 1
        count = buckets[bucket]
        deltas.append(count - last)
        last = count
    # One span, if of nothing, tells an empty native histogram from a classic one.
    spans.append(_span(begin - before, end - begin))
    return b"".join(spans) + (protobuf.signed_list(13, deltas) if deltas else b"")


def _span(gap: int, length: int) -> bytes:
    return protobuf.message(12, protobuf.signed(1, gap) + protobuf.unsigned(2, length))


def _exemplar(number: int, exemplar: Exemplar, ids: dict[int, bytes]) -> bytes:
    known = id(exemplar.labels)
    labels = ids.get(known)
    if labels is None:
        labels = ids[known] = b"".join(_label(*pair) for pair in exemplar.labels.items())
    value = protobuf.double(2, exemplar.value / SECOND)
    return protobuf.message(number, labels + value + protobuf.message(3, _timestamp(exemplar.at)))


def _timestamp(at: int) -> bytes:
    seconds, microseconds = divmod(at, SECOND)
    return protobuf.unsigned(1, seconds) + protobuf.unsigned(2, microseconds * 1_000)


def _label(name: str, value: str) -> bytes:
    return protobuf.message(1, protobuf.string(1, name) + protobuf.string(2, value))


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
    pairs = b"".join(_label(*pair) for pair in labels.items())
    return protobuf.message(4, pairs + protobuf.message(number, value))
