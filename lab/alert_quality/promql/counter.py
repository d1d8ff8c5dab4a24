"""Functions of counters over a range: increase and rate as Prometheus extrapolates, changes."""

from collections.abc import Iterator

import numpy as np

from lab.alert_quality.promql.store import Samples
from lab.alert_quality.promql.vector import Bools, Floats
from lab.alert_quality.promql.windows import Whole

_Places = Whole | slice
_SECOND = 1000
_FAR = 1.1  # mean intervals from the first or last sample to the window's edge
COUNTER = frozenset({"increase", "rate", "delta", "changes", "resets"})


def counted(name: str, samples: Samples, moments: Whole, length: int) -> tuple[Floats, Bools]:
    """Return the function of every window that ends at one of the moments, and where it is."""
    values = np.zeros((len(samples.labels), moments.size))
    there = np.zeros(values.shape, np.bool_)
    for rows in _alike(samples.present):
        kept = samples.present[rows[0]]
        times = samples.start + samples.step * np.flatnonzero(kept).astype(np.int64)
        if not times.size:
            continue
        first = np.searchsorted(times, moments - length, "left")
        last = np.searchsorted(times, moments, "right") - 1
        found = samples.values[np.ix_(rows, np.flatnonzero(kept))].astype(np.float64)
        least = 1 if name in {"changes", "resets"} else 2
        enough = last - first + 1 >= least
        there[rows] = enough
        at = np.flatnonzero(enough)
        if not at.size:
            continue
        fallen = np.zeros_like(found)
        fallen[:, 1:] = np.where(found[:, 1:] < found[:, :-1], found[:, :-1], 0.0)
        risen = found + fallen.cumsum(axis=1) if fallen.any() else found
        for some in _stretches(at, first, last):
            ends = _taken(first[some]), _taken(last[some])
            where = _taken(some)
            if name in {"changes", "resets"}:
                grown = _stepped(name, found, *ends)
            else:
                of = found if name == "delta" else risen
                grown = of[:, ends[1]] - of[:, ends[0]]
                # What is no counter may have been below zero.
                since = np.full_like(grown, np.inf) if name == "delta" else found[:, ends[0]]
                places = first[some], last[some]
                _extrapolate(grown, since, times, places, (moments[some], length))
            if name == "rate":
                grown /= length / _SECOND
            if isinstance(where, slice):
                values[rows, where] = grown
            else:
                values[np.ix_(rows, where)] = grown
    return values, there


def _alike(present: Bools) -> list[Whole]:
    """Series that miss the same scrapes go together: nearly all of them."""
    found: dict[bytes, list[int]] = {}
    for place, mask in enumerate(np.packbits(present, axis=1)):
        found.setdefault(mask.tobytes(), []).append(place)
    return [np.array(rows, np.int64) for rows in found.values()]


def _stretches(at: Whole, first: Whole, last: Whole) -> Iterator[Whole]:
    """Cut the moments into those at the beginning and those whose windows slide by one sample."""
    slides = (np.diff(at) == 1) & (np.diff(first[at]) == 1) & (np.diff(last[at]) == 1)
    uneven = np.flatnonzero(~slides)
    cut = int(uneven[-1]) + 1 if uneven.size else 0
    yield from (some for some in (at[:cut], at[cut:]) if some.size)


def _taken(places: Whole) -> Whole | slice:
    """The same places, without a copy being made of what is there, if they are a stretch."""
    if (np.diff(places) == 1).all():
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _stepped(name: str, found: Floats, first: _Places, last: _Places) -> Floats:
    before, after = found[:, :-1], found[:, 1:]
    stepped = after < before if name == "resets" else after != before
    total = np.concatenate((np.zeros((len(found), 1)), stepped.cumsum(axis=1)), axis=1)
    result: Floats = total[:, last] - total[:, first]
    return result


def _extrapolate(
    grown: Floats,
    first_value: Floats,
    times: Whole,
    places: tuple[Whole, Whole],
    window: tuple[Whole, int],
) -> None:
    """Make of what a counter has grown between its samples what it has in the whole window."""
    first, last = places
    moments, length = window
    sampled = (times[last] - times[first]) / _SECOND
    to_start = (times[first] - (moments - length)) / _SECOND
    to_end = (moments - times[last]) / _SECOND
    between = sampled / (last - first)
    # A counter was never below zero: it is not extrapolated to before it was born.
    young = (grown > 0) & (sampled * first_value < to_start * grown)
    reached = sampled + np.where(to_end < _FAR * between, to_end, between / 2)
    whole = reached + np.where(to_start < _FAR * between, to_start, between / 2)
    if young.any():
        row, at = np.nonzero(young)
        to_zero = sampled[at] * first_value[row, at] / grown[row, at]
        to_zero = np.where(to_zero < _FAR * between[at], to_zero, between[at] / 2)
        kept = grown[row, at] * (reached[at] + to_zero) / sampled[at]
        grown *= whole / sampled
        grown[row, at] = kept
    else:
        grown *= whole / sampled
