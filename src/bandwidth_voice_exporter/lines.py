"""Call metrics as lines of an exposition; what of a line does not change is made once."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TypeVar

import msgspec
from prometheus_client.utils import floatToGoString

from bandwidth_voice_exporter.catalog import CALL_METRICS, Metric
from bandwidth_voice_exporter.collector import Distribution, Snapshot
from bandwidth_voice_exporter.error_ids import Key
from bandwidth_voice_exporter.event import SECOND
from bandwidth_voice_exporter.series import Exemplar

_PLAIN = 1_000_000  # from here on Go writes an exponent
_SPARE = 200  # beginnings kept of series that are gone

_Beginning = TypeVar("_Beginning")


class _HistogramLines(msgspec.Struct, frozen=True):
    buckets: tuple[str, ...]
    count: str
    sum: str


class Lines:
    """Writes snapshots, byte for byte as prometheus_client would.

    ``names`` are applications' names by id. It may be used by several threads.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._counts: dict[str, dict[Key, str]] = {metric.name: {} for metric in CALL_METRICS}
        self._histograms: dict[str, dict[Key, _HistogramLines]] = {
            metric.name: {} for metric in CALL_METRICS
        }
        self._lock = Lock()

    def write(self, snapshot: Snapshot, *, is_openmetrics: bool) -> str:
        """Return all lines: in OpenMetrics with exemplars, without the end mark."""
        with self._lock:
            lines: list[str] = []
            for metric in CALL_METRICS:
                lines += _head(metric, is_openmetrics=is_openmetrics)
                if metric.kind == "histogram":
                    lines += self._histogram(metric, snapshot, is_openmetrics=is_openmetrics)
                else:
                    lines += self._count(metric, snapshot, is_openmetrics=is_openmetrics)
            return "".join(lines)

    def _count(self, metric: Metric, snapshot: Snapshot, *, is_openmetrics: bool) -> Iterator[str]:
        series = snapshot.counts[metric.name]
        known = self._counts[metric.name] = _spared(self._counts[metric.name], series)
        scale = SECOND if metric.micro else 1
        for key, value, exemplar in series:
            beginning = known.get(key)
            if beginning is None:
                beginning = known[key] = f"{metric.name}{self._labels(metric, key)} "
            end = _exemplar(exemplar) if exemplar and is_openmetrics else ""
            yield f"{beginning}{_number(value, scale)}{end}\n"

    def _histogram(
        self, metric: Metric, snapshot: Snapshot, *, is_openmetrics: bool
    ) -> Iterator[str]:
        series = snapshot.distributions[metric.name]
        known = self._histograms[metric.name] = _spared(self._histograms[metric.name], series)
        for key, distribution in series:
            beginnings = known.get(key)
            if beginnings is None:
                beginnings = known[key] = self._beginnings(metric, key)
            yield from _buckets(beginnings, distribution, is_openmetrics=is_openmetrics)
            yield f"{beginnings.count}{_number(sum(distribution.counts), 1)}\n"
            yield f"{beginnings.sum}{_number(distribution.sum, SECOND)}\n"

    def _beginnings(self, metric: Metric, key: Key) -> _HistogramLines:
        labels = self._labels(metric, key)
        bounds = [_written(float(bound)) for bound in metric.buckets] + ["+Inf"]
        return _HistogramLines(
            tuple(
                f"{metric.name}_bucket{self._labels(metric, key, le=bound)} " for bound in bounds
            ),
            f"{metric.name}_count{labels} ",
            f"{metric.name}_sum{labels} ",
        )

    def _labels(self, metric: Metric, key: Key, **more: str) -> str:
        labels = dict(zip(metric.labels, key, strict=True), **more)
        if "application" in labels:
            labels["application"] = self._names.get(key[0], key[0])
        if not labels:
            return ""
        return f"{{{_pairs(labels)}}}"


def _head(metric: Metric, *, is_openmetrics: bool) -> tuple[str, str]:
    name = metric.name
    if is_openmetrics and metric.kind == "counter":
        name = name.removesuffix("_total")
    return (f"# HELP {name} {metric.help}\n", f"# TYPE {name} {metric.kind}\n")


def _buckets(
    beginnings: _HistogramLines, distribution: Distribution, *, is_openmetrics: bool
) -> Iterator[str]:
    below = 0
    for beginning, count, exemplar in zip(
        beginnings.buckets, distribution.counts, distribution.exemplars, strict=True
    ):
        below += count
        end = _exemplar(exemplar) if exemplar and is_openmetrics else ""
        yield f"{beginning}{_number(below, 1)}{end}\n"


def _number(value: int, scale: int) -> str:
    if scale == 1 and value < _PLAIN:
        return f"{value}.0"
    return _written(value / scale)


def _written(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text


def _exemplar(exemplar: Exemplar) -> str:
    value = _number(exemplar.value, SECOND)
    return f" # {{{_pairs(exemplar.labels)}}} {value} {exemplar.at / SECOND}"


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _spared(
    known: dict[Key, _Beginning], series: Sequence[tuple[Key, *tuple[object, ...]]]
) -> dict[Key, _Beginning]:
    """Forget series that are gone, now and then."""
    if len(known) <= len(series) + _SPARE:
        return known
    return {key: known[key] for key, *_ in series if key in known}
