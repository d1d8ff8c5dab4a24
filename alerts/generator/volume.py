"""How many calls are expected, and how surprising it is when they are fewer.

Expected is the least of what the same hour gave last week and what the two hours before make of
it: they tell the level of today, yesterday tells how calls go on from there. A campaign or an
outage last week, a holiday today, a Monday after a Sunday: none of them asks for too many calls.
"""

from collections.abc import Iterator, Sequence

from alerts.generator.rulefile import Recording
from alerts.generator.series import CALLS
from alerts.generator.share import KEPT, deviance

WINDOWS = ("3m", "5m", "15m", "1h")
_PER_HOUR = {"3m": 20, "5m": 12, "15m": 4, "1h": 1}
# The hour that has a short window near its middle, and the hour of the same minutes.
_CENTRED, _SAME = ("167h30m", "23h30m"), ("168h", "24h")
# The two hours before the window, today and yesterday.
_BEFORE = {
    "3m": ("5m", "1h5m", "24h5m", "25h5m"),
    "5m": ("5m", "1h5m", "24h5m", "25h5m"),
    "15m": ("15m", "1h15m", "24h15m", "25h15m"),
    "1h": ("1h", "2h", "25h", "26h"),
}
_HOUR = CALLS.within("1h")


def expected(window: str) -> str:
    """Return the name of the calls expected in a window."""
    return f"direction:bandwidth_voice_calls:expected{window}"


def score(window: str) -> str:
    """Return the name of the surprise at the calls in a window, in its usual spreads."""
    return f"direction:bandwidth_voice_calls:score{window}"


def spread(window: str) -> str:
    """Return the name of the usual spread of that surprise, towards fewer calls."""
    return f"direction:bandwidth_voice_calls:spread{window}"


def last_week(window: str) -> str:
    """Return the calls of the same hour last week, per window."""
    return f"{_HOUR} offset {_references(window)[0]} / {_PER_HOUR[window]}"


def yesterday(window: str) -> str:
    """Return the calls of the same hour yesterday, per window."""
    return f"{_HOUR} offset {_references(window)[1]} / {_PER_HOUR[window]}"


def before(window: str) -> str:
    """Return the calls of the two hours before, per window."""
    return f"({_two_hours(_BEFORE[window][:2])}) / {2 * _PER_HOUR[window]}"


def recordings() -> Iterator[Recording]:
    """Yield the calls expected and the surprise at those there are."""
    for window in WINDOWS:
        yield Recording(expected(window), _expected(window))
        surprise = deviance(CALLS.within(window), expected(window))
        usual = f"last_over_time({spread(window)}[{KEPT}])"
        yield Recording(score(window), f"{surprise}\n/ {usual}")


def baselines() -> Iterator[Recording]:
    """Yield the usual spread of the surprise."""
    for window in WINDOWS:
        surprise = deviance(CALLS.within(window), expected(window))
        lowest = f"-quantile_over_time(0.1, (\n{surprise}\n)[7d:1h])"
        yield Recording(spread(window), f"clamp_min(\n{lowest} / 1.2816,\n1\n)")


def _expected(window: str) -> str:
    last_week, yesterday = _references(window)
    then = f"clamp_min({_HOUR} offset {last_week}, 1)"
    course = f"{_HOUR} offset {yesterday}\n  / clamp_min({_two_hours(_BEFORE[window][2:])}, 1)"
    today = f"({_two_hours(_BEFORE[window][:2])})\n  * {course}"
    least = f"{then} * clamp_max(\n  {today}\n  / {then},\n  1\n)"
    return f"{least} / {_PER_HOUR[window]}"


def _references(window: str) -> tuple[str, str]:
    return _SAME if window == "1h" else _CENTRED


def _two_hours(offsets: Sequence[str]) -> str:
    return " + ".join(f"{_HOUR} offset {offset}" for offset in offsets)
