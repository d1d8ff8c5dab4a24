"""Call metrics as lines of an exposition; what of a line does not change is made once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import TypeVar

import msgspec
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bandwidth_voice_exporter.metrics.catalog import CALL_METRICS, Metric
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.series import Exemplar
from bandwidth_voice_exporter.metrics.snapshot import Distribution, Snapshot
from bandwidth_voice_exporter.voice import SECOND

_PLAIN = 1_000_000  # from here on Go writes an exponent
_SPARE = 200  # lines kept of series that are gone

_Kept = TypeVar("_Kept")


class _Line(msgspec.Struct):
    """A series' line as it was written last, and of what."""

    beginning: str
    value: int = -1
    exemplar: Exemplar | None = None
    text: str = ""


class _HistogramLines(msgspec.Struct):
    """A histogram's lines as they were written last, and of what."""

    buckets: tuple[str, ...]
    count: str
    sum: str
    distribution: Distribution | None = None
    text: str = ""


class Lines:
    """Writes snapshots of some metrics, byte for byte as prometheus_client would.

    A series that is as it was is not written anew. ``names`` are applications' names by id;
    OpenMetrics has exemplars. It may be used by several threads.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        metrics: Sequence[Metric] = CALL_METRICS,
        *,
        is_openmetrics: bool,
    ) -> None:
        self._names = names
        self._metrics = metrics
        self._is_openmetrics = is_openmetrics
        self._counts: dict[str, dict[Key, _Line]] = {metric.name: {} for metric in metrics}
        self._histograms: dict[str, dict[Key, _HistogramLines]] = {
            metric.name: {} for metric in metrics
        }
        self._lock = Lock()

    def write(self, snapshot: Snapshot) -> str:
        """Return all lines, without OpenMetrics' end mark."""
        with self._lock:
            lines: list[str] = []
            for metric in self._metrics:
                lines += _head(
                    metric.name, metric.help, metric.kind, is_openmetrics=self._is_openmetrics
                )
                if metric.kind == "histogram":
                    lines += self._histogram(metric, snapshot)
                else:
                    lines += self._count(metric, snapshot)
            return "".join(lines)

    def _count(self, metric: Metric, snapshot: Snapshot) -> Iterator[str]:
        series = snapshot.counts[metric.name]
        known = self._counts[metric.name] = _spared(self._counts[metric.name], series)
        scale = SECOND if metric.micro else 1
        for key, value, exemplar in series:
            line = known.get(key)
            if line is None:
                line = known[key] = _Line(f"{metric.name}{self._labels(metric, key)} ")
            if line.value != value or line.exemplar is not exemplar:
                line.value, line.exemplar = value, exemplar
                line.text = f"{line.beginning}{_number(value, scale)}{self._end(exemplar)}\n"
            yield line.text

    def _histogram(self, metric: Metric, snapshot: Snapshot) -> Iterator[str]:
        series = snapshot.distributions[metric.name]
        known = self._histograms[metric.name] = _spared(self._histograms[metric.name], series)
        for key, distribution in series:
            lines = known.get(key)
            if lines is None:
                lines = known[key] = self._beginnings(metric, key)
            if lines.distribution != distribution:
                lines.distribution = distribution
                lines.text = "".join(self._buckets(lines, distribution))
            yield lines.text

    def _buckets(self, lines: _HistogramLines, distribution: Distribution) -> Iterator[str]:
        below = 0
        for beginning, count, exemplar in zip(
            lines.buckets, distribution.counts, distribution.exemplars, strict=True
        ):
            below += count
            yield f"{beginning}{_number(below, 1)}{self._end(exemplar)}\n"
        yield f"{lines.count}{_number(below, 1)}\n"
        yield f"{lines.sum}{_number(distribution.sum, SECOND)}\n"

    def _end(self, exemplar: Exemplar | None) -> str:
        return _exemplar(exemplar) if exemplar and self._is_openmetrics else ""

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
            identifier = labels["application"]
            labels["application"] = self._names.get(identifier, identifier)
        if not labels:
            return ""
        return f"{{{_pairs(labels)}}}"


def of_collector(collector: Collector, *, is_openmetrics: bool) -> bytes:
    """Return all lines of a collector's counters, gauges and histograms, and OpenMetrics' end mark.

    It leaves out the ``_created`` series, which double every counter, and exemplars.
    prometheus_client's own writer looks at every name anew, which takes three times as long.
    """
    lines: list[str] = []
    for family in collector.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        lines += _head(name, family.documentation, family.type, is_openmetrics=is_openmetrics)
        created = f"{family.name}_created"
        for sample in family.samples:
            if sample.name != created:
                labels = f"{{{_pairs(sample.labels)}}}" if sample.labels else ""
                lines.append(f"{sample.name}{labels} {_written(sample.value)}\n")
    if is_openmetrics:
        lines.append("# EOF\n")
    return "".join(lines).encode()


def _head(name: str, meaning: str, kind: str, *, is_openmetrics: bool) -> tuple[str, str]:
    if is_openmetrics and kind == "counter":
        name = name.removesuffix("_total")
    return (f"# HELP {name} {meaning}\n", f"# TYPE {name} {kind}\n")


def _number(value: int, scale: int) -> str:
    if scale == 1 and value < _PLAIN:
        return f"{value}.0"
    return _written(value / scale)


_written: Callable[[float], str] = floatToGoString


def _exemplar(exemplar: Exemplar) -> str:
    value = _number(exemplar.value, SECOND)
    return f" # {{{_pairs(exemplar.labels)}}} {value} {exemplar.at / SECOND}"


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _spared(
    known: dict[Key, _Kept], series: Sequence[tuple[Key, *tuple[object, ...]]]
) -> dict[Key, _Kept]:
    """Forget series that are gone, now and then."""
    if len(known) <= len(series) + _SPARE:
        return known
    return {key: known[key] for key, *_ in series if key in known}
