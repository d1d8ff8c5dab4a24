"""When an alert fires: what `for` and `keep_firing_for` make of when its expression is true."""

import math

import msgspec
import numpy as np
import numpy.typing as npt


class Firing(msgspec.Struct, frozen=True):
    """From the first evaluation at which it fires to the first at which it no longer does.

    Both are indices of evaluations; ``end`` None where it still fires at the last.
    """

    start: int
    end: int | None


def firings(
    active: npt.NDArray[np.int64], count: int, *, hold: float, keep: float, interval: float
) -> list[Firing]:
    """Follow one alert through ``count`` evaluations, true at those in ``active``; seconds."""
    pending = math.ceil(hold / interval)
    kept = math.ceil(keep / interval)
    found: list[Firing] = []
    start: int | None = None
    end = 0
    for first, last in _stretches(active):
        if start is not None and first > end:
            found.append(Firing(start, end))
            start = None
        if start is None and last - first >= pending:
            start = first + pending
        if start is not None:
            end = last + 1 + kept
    if start is not None:
        found.append(Firing(start, end if end < count else None))
    return found


def _stretches(active: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    breaks = np.flatnonzero(np.diff(active) > 1)
    firsts = np.concatenate((active[:1], active[breaks + 1]))
    lasts = np.concatenate((active[breaks], active[-1:]))
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
