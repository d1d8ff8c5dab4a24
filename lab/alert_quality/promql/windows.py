"""Functions over a range: of the samples of a window that slides along a grid."""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality.promql.vector import Bools, Floats

Whole = npt.NDArray[np.int64]
_WIDE = 2_000_000  # numbers sorted at once


class Windows(msgspec.Struct, frozen=True):
    """Of each moment, the first sample of its window and the one after its last, by place."""

    first: Whole
    after: Whole

    @classmethod
    def over(cls, moments: Whole, length: int, *, start: int, step: int, count: int) -> "Windows":
        """Of the samples at ``start``, ``start + step``, …; both ends belong to a window.

        So it is in Prometheus 2; from 3 on a sample at the very beginning does not.
        """
        first = -((start + length - moments) // step)
        after = (moments - start) // step + 1
        return cls(np.clip(first, 0, count), np.clip(np.maximum(after, first), 0, count))


def reduced(name: str, values: Floats, present: Bools, windows: Windows) -> tuple[Floats, Bools]:
    """Return what a function makes of every window, by series and moment, and where it is."""
    some = _counted(present, windows) > 0
    with np.errstate(all="ignore"):
        return _OVER_TIME[name](values, present, windows), some


def quantile(share: float, values: Floats, present: Bools, windows: Windows) -> Floats:
    """The quantile of each window; as in Prometheus, NaN counts as the least of numbers."""
    result = np.full((len(values), windows.first.size), np.nan)
    # Windows that hold the same samples, as those over the hours of a week do, are sorted once.
    pairs = np.stack((windows.first, windows.after))
    of_each, moment = np.unique(pairs, axis=1, return_inverse=True)
    width = int((of_each[1] - of_each[0]).max(initial=0))
    if not width:
        return result
    padded = np.where(present, np.where(np.isnan(values), -np.inf, values), np.inf)
    padded = np.concatenate((padded, np.full((len(values), width), np.inf)), axis=1)
    counts = _counted(present, Windows(of_each[0], of_each[1]))
    found = np.empty((len(values), of_each.shape[1]))
    at_once = max(1, _WIDE // (width * max(1, len(values))))
    for begin in range(0, of_each.shape[1], at_once):
        some = slice(begin, begin + at_once)
        places = of_each[0, some, None] + np.arange(width)
        inside = places < of_each[1, some, None]
        ordered = np.sort(np.where(inside, padded[:, places], np.inf), axis=2)
        rank = share * np.maximum(counts[:, some] - 1, 0)
        low = np.floor(rank).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(counts[:, some] - 1, 0))
        weight = rank - low
        below, above = (
            np.take_along_axis(ordered, place[..., None], axis=2)[..., 0] for place in (low, high)
        )
        below, above = (np.where(one == -np.inf, np.nan, one) for one in (below, above))
        with np.errstate(invalid="ignore"):
            found[:, some] = below * (1 - weight) + above * weight
    return found[:, moment.ravel()]


def _counted(present: Bools, windows: Windows) -> Whole:
    total = np.zeros((len(present), present.shape[1] + 1), np.int64)
    np.cumsum(present, axis=1, out=total[:, 1:])
    counted: Whole = total[:, windows.after] - total[:, windows.first]
    return counted


def _sum(values: Floats, present: Bools, windows: Windows) -> Floats:
    there = np.where(present, values, 0.0)
    usual = np.where(np.isfinite(there), there, 0.0)
    total = np.zeros((len(usual), usual.shape[1] + 1))
    np.cumsum(usual, axis=1, out=total[:, 1:])
    found: Floats = total[:, windows.after] - total[:, windows.first]
    # What is nothing but zeros adds up to zero, whatever was rounded before.
    found = np.where(_counted(usual != 0, windows) == 0, 0.0, found)
    for kind, mark in ((np.inf, np.inf), (-np.inf, -np.inf)):
        found = np.where(_counted(there == kind, windows) > 0, found + mark, found)
    return np.where(_counted(np.isnan(there), windows) > 0, np.nan, found)


def _avg(values: Floats, present: Bools, windows: Windows) -> Floats:
    return _sum(values, present, windows) / _counted(present, windows)


def _count(_values: Floats, present: Bools, windows: Windows) -> Floats:
    return _counted(present, windows).astype(np.float64)


def _last(values: Floats, present: Bools, windows: Windows) -> Floats:
    places = np.where(present, np.arange(present.shape[1]), -1)
    latest = np.maximum.accumulate(places, axis=1)
    at = latest[:, np.maximum(windows.after - 1, 0)]
    return np.take_along_axis(values, np.maximum(at, 0), axis=1)


def _extreme(better: Callable[..., Floats], nothing: float) -> Callable[..., Floats]:
    def found(values: Floats, present: Bools, windows: Windows) -> Floats:
        width = windows.after - windows.first
        # Two stretches of a power of two cover any window; NaN only wins where nothing else is.
        power = np.log2(np.maximum(width, 1)).astype(np.int64)
        best = np.where(present, values, np.nan)
        result = np.full((len(values), width.size), nothing)
        for exponent in range(int(power.max(initial=0)) + 1):
            mine = (power == exponent) & (width > 0)
            one, other = windows.first[mine], windows.after[mine] - (1 << exponent)
            result[:, mine] = better(best[:, one], best[:, other])
            shift = 1 << exponent
            later = np.full_like(best, np.nan)
            later[:, : max(0, best.shape[1] - shift)] = best[:, shift:]
            best = better(best, later)
        return result

    return found


def _deviation(values: Floats, present: Bools, windows: Windows) -> Floats:
    mean = _avg(values, present, windows)
    squared = _avg(values**2, present, windows)
    return np.sqrt(np.maximum(squared - mean**2, 0.0))


def _present(_values: Floats, present: Bools, windows: Windows) -> Floats:
    return (_counted(present, windows) > 0).astype(np.float64)


_OVER_TIME: dict[str, Callable[[Floats, Bools, Windows], Floats]] = {
    "sum_over_time": _sum,
    "avg_over_time": _avg,
    "count_over_time": _count,
    "last_over_time": _last,
    "present_over_time": _present,
    "max_over_time": _extreme(np.fmax, np.nan),
    "min_over_time": _extreme(np.fmin, np.nan),
    "stddev_over_time": _deviation,
}
OVER_TIME = frozenset(_OVER_TIME)
