"""The clock: times and durations are whole microseconds everywhere."""

import time

SECOND = 1_000_000


def now() -> int:
    """Return the time, in microseconds since 1970."""
    return time.time_ns() // 1000
