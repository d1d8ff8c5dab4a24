"""How busy the phones are over a week."""

HOUR = 3600.0
WEEK_HOURS = 168

_OF_HOUR = (
    *(0.15, 0.10, 0.08, 0.08, 0.10, 0.20, 0.45, 0.90, 1.60, 2.20, 2.40, 2.30),
    *(2.00, 2.10, 2.20, 2.10, 1.90, 1.60, 1.20, 0.90, 0.70, 0.50, 0.35, 0.22),
)
_OF_DAY = (1.15, 1.10, 1.05, 1.05, 1.00, 0.45, 0.30)

_RAW = tuple(day * hour for day in _OF_DAY for hour in _OF_HOUR)
_MEAN = sum(_RAW) / WEEK_HOURS
# Linear between the full hours: the mean over a week is then exactly the mean of these, 1.
_LEVELS = tuple(level / _MEAN for level in _RAW)

PEAK = max(_LEVELS)


def weekly(moment: float) -> float:
    """Return the share of the mean rate at ``moment``, in seconds since Monday 00:00.

    A business-hours hump, quiet nights and weekends.
    """
    hours = moment / HOUR
    hour = int(hours // 1)
    before = _LEVELS[hour % WEEK_HOURS]
    after = _LEVELS[(hour + 1) % WEEK_HOURS]
    return before + (after - before) * (hours - hour)
