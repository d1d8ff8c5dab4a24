"""Prometheus's functions over samples, written again in Python: one value a step, None for none."""

from collections.abc import Callable, Iterator, Sequence
from math import log, nan, sqrt
from statistics import fmean, median

Values = Sequence[float | None]

STALE = nan  # where a scrape finds the series gone


def increase(counter: Sequence[float], window: int, *, closed: bool) -> list[float | None]:
    """Return ``increase()`` over so many steps of a counter that began at step 0.

    ``closed`` says whether a range has its left end in it (Prometheus 2) or not (3).
    """
    return [_increase(counter, at, window, closed=closed) for at in range(len(counter))]


def increases(counter: Sequence[float], window: int, *, closed: bool) -> list[float]:
    """Return the same, with 0 where there is none."""
    return [value or 0.0 for value in increase(counter, window, closed=closed)]


def _increase(counter: Sequence[float], at: int, window: int, *, closed: bool) -> float | None:
    start = at - window
    first = max(0, start if closed else start + 1)
    sampled = at - first
    if sampled < 1:
        return None
    risen = counter[at] - counter[first]
    to_start: float = first - start
    if risen > 0:
        to_start = min(to_start, sampled * counter[first] / risen)
    covered = sampled + (to_start if to_start < 1.1 else 0.5)
    return risen * covered / sampled


def averaged(values: Values, samples: int, times: float) -> list[float | None]:
    """Return the average of the last samples, times a factor."""
    result: list[float | None] = []
    for at in range(len(values)):
        seen = [value for value in values[max(0, at - samples + 1) : at + 1] if value is not None]
        result.append(times * sum(seen) / len(seen) if seen else None)
    return result


HALF_HOUR = 30  # minutes: a step of what is about whole days


def day(hours: Sequence[float], *, closed: bool) -> list[float]:
    """Return the calls of a day at each half hour, from those of the hours of a day before it."""
    return [24 * fmean(seen) for seen in _days(hours, closed=closed)]


def usual_share(part: Sequence[float], whole: Sequence[float], *, closed: bool) -> list[float]:
    """Return the share in the median hour of a day, at each half hour."""
    hours = [some / everything for some, everything in zip(part, whole, strict=True)]
    return [median(seen) for seen in _days(hours, closed=closed)]


def _days(hours: Sequence[float], *, closed: bool) -> Iterator[Sequence[float]]:
    for now in range(len(hours)):
        first = max(0, now - 48 + (not closed))
        yield [hours[step] for step in range(first, now + 1) if step % 2 == 0]


def total(*series: Values) -> list[float | None]:
    """Return ``sum()`` of series."""
    return [
        None if all(value is None for value in values) else sum(value or 0 for value in values)
        for values in zip(*series, strict=True)
    ]


def surprise(counted: float, expected: float) -> float:
    """Return the signed root of the Poisson deviance of a count."""
    if counted == 0:
        return -sqrt(2 * expected)
    deviance = 2 * (counted * log(counted / expected) - (counted - expected))
    return sqrt(max(0.0, deviance)) * (1 if counted > expected else -1)


def counter(*spells: tuple[int, float], start: float = 0) -> list[float]:
    """Return a counter that rises, in each spell of so many steps, by so much a step."""
    values = [start]
    for steps, rise in spells:
        values += [values[-1] + rise * (step + 1) for step in range(steps)]
    return values


def level(*spells: tuple[int, float]) -> list[float]:
    """Return a gauge that has, in each spell of so many steps, one value."""
    return [value for steps, value in spells for _ in range(steps)]


def firing(holds: Sequence[bool], hold: float, keep: float) -> list[bool]:
    """Return when an alert fires whose condition holds then; ``for`` and keeping in steps."""
    fires: list[bool] = []
    since: int | None = None  # the condition holds
    gone: int | None = None  # it does not any more
    is_firing = False
    for at, it_holds in enumerate(holds):
        if it_holds:
            since, gone = at if since is None else since, None
            is_firing = is_firing or at - since >= hold
        else:
            gone = at if gone is None else gone
            if not is_firing or at - gone >= keep:
                since, is_firing = None, False
        fires.append(is_firing)
    return fires


def least(fires: Callable[[int], bool], low: int, high: int) -> int:
    """Return the least number from ``low`` on at which it fires; AssertionError beyond ``high``."""
    assert fires(high), f"does not fire even at {high}"
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fires(middle) else (middle + 1, high)
    return low
