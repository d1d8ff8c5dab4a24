"""The totals as one scrape sees them."""

from collections.abc import Container, Iterable, Mapping

import msgspec

from bandwidth_voice_exporter.metrics import catalog, series
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.tally import Tally

_ZERO = series.Count()


class Distribution(msgspec.Struct, frozen=True):
    """A histogram's counts per bucket, its sum in microseconds, an exemplar per bucket or None."""

    counts: tuple[int, ...]
    sum: int
    exemplars: tuple[series.Exemplar | None, ...]


# By metric: each series' label values, its value, and the call that stands for it.
Counts = dict[str, list[tuple[Key, int, series.Exemplar | None]]]


class Snapshot(msgspec.Struct, frozen=True):
    """The call metrics at one moment, by metric: it may be written in another thread."""

    counts: Counts
    distributions: dict[str, list[tuple[Key, Distribution]]]
    natives: dict[str, list[tuple[Key, NativeHistogram]]] = {}


def snapshot_of(
    tally: Tally | None, now: int, *, is_scrape: bool, has_natives: bool = False
) -> Snapshot:
    """Copy the totals at a time in microseconds, native histograms where asked for.

    To a scrape a newborn label set is shown at 0, so that ``increase()`` sees its first call. Of a
    tally that is not known yet there is no series.
    """
    if tally is None:
        return Snapshot(
            {metric.name: [] for metric in catalog.CALL_METRICS if metric.kind != "histogram"},
            {metric.name: [] for metric in catalog.CALL_METRICS if metric.kind == "histogram"},
        )
    held: Mapping[tuple[str, Key], int] = {}
    if is_scrape:
        tally.settle(now)
        held = tally.newborn
    counts: Counts = {}
    distributions = {}
    for metric in catalog.CALL_METRICS:
        name = metric.name
        if metric.kind == "histogram":
            distributions[name] = [
                (key, _distribution(histogram, is_held=(name, key) in held))
                for key, histogram in tally.histograms[name].items()
            ]
        elif held and metric.kind == "counter":
            counts[name] = [
                (key, shown.value, shown.exemplar)
                for key, count in tally.counts[name].items()
                for shown in (_ZERO if (name, key) in held else count,)
            ]
        else:
            counts[name] = [
                (key, count.value, count.exemplar) for key, count in tally.counts[name].items()
            ]
    return Snapshot(counts, distributions, _natives(tally, held) if has_natives else {})


def _natives(
    tally: Tally, held: Iterable[tuple[str, Key]]
) -> dict[str, list[tuple[Key, NativeHistogram]]]:
    return {
        name: _of_held(natives, {key for held_name, key in held if held_name == name})
        for name, natives in tally.natives.items()
    }


def _of_held(
    natives: Mapping[Key, NativeHistogram], held: Container[Key] | None
) -> list[tuple[Key, NativeHistogram]]:
    if not held:
        return [(key, native.frozen()) for key, native in natives.items()]
    return [
        (key, NativeHistogram(native.born) if key in held else native.frozen())
        for key, native in natives.items()
    ]


def _distribution(histogram: series.Histogram, *, is_held: bool) -> Distribution:
    if is_held:
        buckets = len(histogram.counts)
        return Distribution((0,) * buckets, 0, (None,) * buckets)
    return Distribution(tuple(histogram.counts), histogram.sum, tuple(histogram.exemplars))
