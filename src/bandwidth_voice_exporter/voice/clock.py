"""The clock: times and durations are whole microseconds everywhere."""

import time
from collections.abc import Callable

SECOND = 1_000_000

_STEP = 5 * SECOND  # farther than a clock that is kept right, and a busy machine, are ever off


def now() -> int:
    """Return the time, in microseconds since 1970."""
    return time.time_ns() // 1000


def monotonic() -> int:
    """Return the microseconds since some moment, whatever the clock is set to."""
    return time.monotonic_ns() // 1000


class Clock:
    """The time, and how long it has not been set by hand: each look at it compares.

    ``wall`` gives microseconds since 1970, ``steady`` those since some moment.
    """

    def __init__(
        self, wall: Callable[[], int] = now, steady: Callable[[], int] = monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._since = steady()
        self._offset = wall() - self._since
        self._watchers: list[Callable[[int], None]] = []

    def __call__(self) -> int:
        """Return the time, in microseconds since 1970."""
        steady, wall = self._steady(), self._wall()
        step = wall - steady - self._offset
        self._offset += step
        if abs(step) > _STEP:
            self._since = steady
            for watcher in self._watchers:
                watcher(step)
        return wall

    def held(self) -> int:
        """Return for how long it has not been set, in microseconds, the process's age at most."""
        self()
        return self._steady() - self._since

    def on_step(self, watcher: Callable[[int], None]) -> None:
        """Call back with the step, in microseconds, whenever the time is set."""
        self._watchers.append(watcher)
