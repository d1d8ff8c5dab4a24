"""When the share of some calls is too high: the statistic of the rules, written again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bandwidth_voice_exporter.alerts.config import Failures
from testkit.alert_cases import model
from testkit.alert_cases.model import averaged, surprise
from testkit.alert_cases.promtool import closed

WINDOWS = ("5m", "15m", "1h", "6h")
_PAGED_IN = ("5m", "15m", "1h")
_REMEMBERED = 30  # minutes in which a page goes on
_MANY = 50  # calls in 5 minutes: so few minutes say whether it goes on
_FEW = 5  # calls in 5 minutes; fewer say nothing of whether it is still so
_ALMOST = 0.3  # of a call: so much less than a whole number counts as it
# An incident that is over does not alert: shorter windows must be so far off, in spreads, too.
_ALSO = {
    "5m": (),
    "15m": (("5m", 1),),
    "1h": (("15m", 3),),
    "6h": (("1h", 3), ("15m", 3)),
}


@dataclass(frozen=True)
class Share:
    """Counted calls and all calls, as counters, and what is expected of their share."""

    counted: Sequence[Sequence[float]]
    others: Sequence[Sequence[float]]
    expected: float | None  # None: there is no baseline
    spread: float = 1

    def pages(self, limits: Failures) -> list[bool]:
        """Return at which steps a page has begun, or goes on because the share is still high."""
        begun = self.holds(limits, _PAGED_IN)
        bad, everything = (_windows(of) for of in (self.counted, self._all))
        seen = [
            _Seen(*lately) if (lately[1] or 0) >= _MANY else _Seen(*quarter)
            for lately, quarter in (
                (
                    (bad["5m"][step], everything["5m"][step]),
                    (bad["15m"][step], everything["15m"][step]),
                )
                for step in range(len(begun))
            )
        ]
        p = self.expected
        return [
            it_begins
            or (
                p is not None
                and any(begun[max(0, step - _REMEMBERED + (not closed())) : step])
                and seen[step].ratio > p + limits.points / 2
            )
            for step, it_begins in enumerate(begun)
        ]

    def holds(self, limits: Failures, windows: Sequence[str] = WINDOWS) -> list[bool]:
        """Return at which steps of a minute the share is too high."""
        counted, everything = (_windows(counters) for counters in (self.counted, self._all))
        seen = [
            {window: _Seen(counted[window][step], everything[window][step]) for window in counted}
            for step in range(len(self.others[0]))
        ]
        return [self._is_high(of_step, limits, windows) for of_step in seen]

    def _is_high(
        self, seen: Mapping[str, "_Seen"], limits: Failures, windows: Sequence[str]
    ) -> bool:
        if self.expected is None:
            quarter = seen["15m"]
            return quarter.ratio > limits.absolute and quarter.at_least(2 * limits.least_calls)
        p, spread = self.expected, self.spread
        is_still = seen["5m"].everything < _FEW or (
            seen["5m"].ratio > p + limits.points / 2 and seen["5m"].surprise(p) > spread
        )
        return is_still and any(
            seen[window].ratio > p + limits.points
            and seen[window].surprise(p) > limits.zscore * spread
            and seen[window].at_least(limits.least_calls)
            and all(seen[also].surprise(p) > times * spread for also, times in _ALSO[window])
            for window in windows
        )

    @property
    def _all(self) -> Sequence[Sequence[float]]:
        return (*self.counted, *self.others)


class _Seen:
    """The calls of a window."""

    def __init__(self, counted: float | None, everything: float | None) -> None:
        self.counted, self.everything = counted or 0.0, everything or 0.0

    @property
    def ratio(self) -> float:
        return self.counted / self.everything if self.everything else 0.0

    def surprise(self, expected: float) -> float:
        return surprise(self.counted, expected * self.everything) if self.everything else 0.0

    def at_least(self, calls: float) -> bool:
        return self.counted > calls - _ALMOST


def _windows(counters: Sequence[Sequence[float]]) -> dict[str, list[float | None]]:
    five, quarter, hour = (
        model.total(*(model.increase(counter, window, closed=closed()) for counter in counters))
        for window in (5, 15, 60)
    )
    return {"5m": five, "15m": quarter, "1h": hour, "6h": averaged(hour, 360, 6)}
