"""Shares of calls, what is expected of them, and how surprising they are.

A share's baseline is the median day of the last seven: a day with an outage does not move it. At
one time of the week it is what the same two hours gave a week ago, as far as they had calls
enough (300 are assumed to have been as on the median day), within bounds, because another outage
then bends it; and it follows the two hours before the last a little way up. Surprise is the signed
root of the Poisson deviance, which for small and large counts alike is nearly normal, in units of
the series' own usual spread (Laney).
"""

from collections.abc import Iterator

import msgspec

from bandwidth_voice_exporter.alerts import series
from bandwidth_voice_exporter.alerts.rulefile import Recording
from bandwidth_voice_exporter.alerts.series import CountOf, on

# Baselines are computed every ten minutes, and stay good when that fails once.
KEPT = "30m"
BASELINE_INTERVAL = "10m"
_DAYS = "7d"
_ASSUMED_CALLS = 300
_OPEN_DAY = 20  # calls: a day with fewer is closed, and says nothing of a share
# How far a week ago may differ from the median, and the hours before from a week ago.
_LOWEST, _HIGHEST = 0.75, 1.5
# The habits of people change in the course of hours; a failure comes at once.
_OF_PEOPLE, _HIGHEST_OF_PEOPLE = '{fault_domain="user"}', 2.5
# Of the absolute values of a normal distribution, 80 % are below this many standard deviations.
_QUANTILE, _OF_NORMAL = 0.8, 1.2816
_UNSURE, _SURE_HOURS = 0.4, 96
_TINY = "1e-9"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share: calls that are counted, of calls of the same labels or of fewer labels."""

    name: str
    count: CountOf
    of: CountOf
    windows: tuple[str, ...]
    matchers: str = ""
    pooled: "Share | None" = None  # whose baseline stands in while there are few calls

    def series(self, operation: str) -> str:
        """Return the name of a series of this share."""
        return f"{self.count.level}:{self.name}:{operation}"

    def counted(self, window: str) -> str:
        """Return the counted calls in a window."""
        return self.count.within(window) + self.matchers

    @property
    def matching(self) -> str:
        """How a series of this share finds its calls."""
        if self.count.labels == self.of.labels:
            return ""
        return f"{on(*self.of.labels)} group_left () "


FAILURES = Share(
    name="bandwidth_voice_failure_ratio",
    count=series.DOMAIN,
    of=series.CALLS,
    windows=("5m", "15m", "1h", "6h"),
    matchers='{fault_domain=~"user|application|account|bandwidth|unclassified"}',
)
CAUSES = Share(
    name="bandwidth_voice_failure_ratio",
    count=series.CAUSE,
    of=series.CALLS,
    windows=("5m", "15m", "1h", "6h"),
    matchers='{fault_domain="user"}',
)
SHORT_CALLS = Share(
    name="bandwidth_voice_short_call_ratio",
    count=series.SHORT,
    of=series.ANSWERED,
    windows=("5m", "15m", "1h", "6h"),
)
OF_APPLICATIONS = Share(
    name="bandwidth_voice_application_failure_ratio",
    count=series.FAILED_OF_APPLICATION,
    of=series.OF_APPLICATION,
    windows=("5m", "15m", "1h", "6h"),
    pooled=FAILURES,
)
SHARES = (FAILURES, CAUSES, SHORT_CALLS, OF_APPLICATIONS)


def baselines() -> Iterator[Recording]:
    """Yield the shares that a week of recorded counts says are usual."""
    for share in SHARES:
        yield Recording(share.series("median7d"), _median(share))
        if share.pooled is None:
            yield Recording(share.series("usual"), _usual(share))


def spreads() -> Iterator[Recording]:
    """Yield how far they usually are from the expected ones, in the hours that had calls."""
    for share in SHARES:
        for window in share.windows:
            expected = f"({share.series('expected1h')} * {share.matching}{share.of.within(window)})"
            surprise = deviance(share.counted(window), expected)
            yield Recording(
                share.series(f"spread{window}"),
                f"clamp_min(\nquantile_over_time({_QUANTILE}, (\n  abs(\n{surprise}\n)\n"
                f"  and {on(*share.of.labels)} {share.of.within(window)} > 0\n)[{_DAYS}:1h])"
                f" / {_OF_NORMAL},\n1\n)\n* {_unsure(share)}",
            )


def _unsure(share: Share) -> str:
    """Return by how much a spread that is known of few hours may be larger."""
    hours = f"count_over_time({share.series('expected1h')}[{_DAYS}:1h])"
    return f"clamp_min({1 + _UNSURE:g} - {_UNSURE:g} / {_SURE_HOURS} * {hours}, 1)"


def recordings(share: Share, *windows: str) -> Iterator[Recording]:
    """Yield a share in some windows, and how surprising it is."""
    for window in windows:
        ratio = share.series(f"ratio{window}")
        calls = share.of.within(window)
        yield Recording(ratio, f"{share.counted(window)} / {share.matching}{calls}")
        yield Recording(share.series(f"score{window}"), _score(share, window))


def expected(share: Share) -> Recording:
    """Return the share expected now."""
    return Recording(share.series("expected1h"), _expected(share))


def _score(share: Share, window: str) -> str:
    """Return the deviance of a count c of n calls, in its share c/n, in usual spreads."""
    ratio, expected = share.series(f"ratio{window}"), share.series("expected1h")
    log = f"ln(clamp_min({ratio}, {_TINY}) / {expected})"
    per_call = f"clamp_min({ratio} * {log} - {ratio} + {expected}, 0)"
    return (
        f"sgn({ratio} - {expected})\n"
        f"* sqrt(\n  {per_call}\n  * {share.matching}(2 * {share.of.within(window)})\n)\n"
        f"/ last_over_time({share.series(f'spread{window}')}[{KEPT}])"
    )


def deviance(counted: str, expected: str) -> str:
    """Return the signed root of the Poisson deviance of a count."""
    log = f"ln(clamp_min({counted}, {_TINY}) / clamp_min({expected}, {_TINY}))"
    twice = f"2 * clamp_min({counted} * {log} - {counted} + {expected}, 0)"
    return f"sgn({counted} - {expected})\n* sqrt({twice})"


def day(count: str) -> str:
    """Return the calls of a whole day, from those of its hours."""
    return f"24 * avg_over_time({count}[1d:1h])"


def usual_hour(counted: str, calls: str, matching: str = "") -> str:
    """Return the median of the last day's hourly shares: hours of an outage do not move it."""
    return f"quantile_over_time(0.5, (\n  {counted}\n  / {matching}({calls} > 0)\n)[1d:1h])"


def median_day(expression: str) -> str:
    """Return the median of an expression over the last seven whole days (UTC)."""
    return f"quantile_over_time(0.5, ({expression})[{_DAYS}:1d])"


def known_for_8_days(calls: CountOf) -> str:
    """Return a set operation that leaves out what has no calls counted eight days ago."""
    return f"and {on(*calls.labels)} last_over_time({calls.within('1h')}[12h] offset 180h)"


def _median(share: Share) -> str:
    open_day = f"{day(share.of.within('1h'))} > {_OPEN_DAY}"
    counted = median_day(f"{day(share.counted('1h'))} and {on(*share.of.labels)} {open_day}")
    calls = median_day(open_day)
    known = known_for_8_days(share.of)
    if share.pooled is None:
        return f"(\n  ({counted} + 0.5)\n/ {share.matching}\n  ({calls} + 1)\n)\n{known}"
    pool = f'{share.pooled.series("usual")}{{fault_domain="application"}}'
    pooled = f"{_ASSUMED_CALLS} * sum {series.by('direction')} ({pool})"
    return (
        f"(\n  (7 * {counted} + {on('direction')} group_left ()\n  {pooled})\n"
        f"/\n  (7 * {calls} + {_ASSUMED_CALLS})\n)\n{known}"
    )


def _usual(share: Share) -> str:
    median = share.series("median7d")
    counted = _two_hours(share.counted("1h"), "167h", "168h")
    calls = _two_hours(share.of.within("1h"), "167h", "168h")
    then = f"({_ASSUMED_CALLS} * {median} + {counted})\n  / {share.matching}"
    then += f"\n  ({_ASSUMED_CALLS} + {calls})"

    def bent(matchers: str, highest: float) -> str:
        usual = f"{median}{matchers}"
        return f"{usual} * clamp(\n  ({then}) / {median},\n  {_LOWEST}, {highest:g}\n)"

    return "\nor\n".join((*(bent(*one) for one in _bounds(share)), median))


def _expected(share: Share) -> str:
    told = (_followed(share, *one) for one in _bounds(share))
    return "\nor\n".join((*told, _usual_now(share, "")))


def _bounds(share: Share) -> Iterator[tuple[str, float]]:
    """Yield how much larger than usual what is expected may be, by the series it is for."""
    of_people = _OF_PEOPLE if "fault_domain" in share.count.labels else None
    if of_people:
        yield of_people, _HIGHEST_OF_PEOPLE
    if share.matchers != of_people:
        yield "", _HIGHEST


def _followed(share: Share, matchers: str, highest: float) -> str:
    """Return what is usual, as far up as the hours before were above it."""
    usual = _usual_now(share, matchers)
    counted = _two_hours(share.counted("1h"), "1h", "2h")
    calls = _two_hours(share.of.within("1h"), "1h", "2h")
    before = f"({_ASSUMED_CALLS} * {usual} + {counted})\n  / {share.matching}"
    before += f"\n  ({_ASSUMED_CALLS} + {calls})"
    return f"{usual} * clamp(\n  ({before}) / {usual},\n  1, {highest:g}\n)"


def _usual_now(share: Share, matchers: str) -> str:
    usual = share.series("median7d" if share.pooled else "usual")
    return f"last_over_time({usual}{matchers}[{KEPT}])"


def _two_hours(count: str, *offsets: str) -> str:
    return " + ".join(f"{count} offset {offset}" for offset in offsets)
