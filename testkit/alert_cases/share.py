"""When the share of some calls is too high: the statistic of the rules, written again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from bandwidth_voice_exporter.alerts.config import Failures
from testkit.alert_cases import model
from testkit.alert_cases.model import averaged, surprise
from testkit.alert_cases.promtool import closed

WINDOWS = ("5m", "15m", "1h", "6h")
_PAGED_IN = ("5m", "15m", "1h")
# Failures in the worst quarter of an hour, and how many windows then say whether it goes on.
_KNOWN = ((24, "5m", 1), (18, "5m", 2), (9, "15m", 1), (5, "15m", 2), (0, "15m", 3))
_MINUTES = {"5m": 5, "15m": 15, "1h": 60, "6h": 360}
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
        """Return at which steps a page has begun, or goes on because failures are not over."""
        begun = self.holds(limits, _PAGED_IN)
        on = self._goes_on()
        pages, paged, over = [], 0, 0
        for step, it_begins in enumerate(begun):
            mostly = sum(_last(on, step, 20)) > 0.4 * len(_last(on, step, 20))
            if it_begins:
                paged = step
            if not mostly and not any(_last(begun, step, 15)):
                over = step
            pages.append(it_begins or (on[step] and paged > over))
        return pages

    def _goes_on(self) -> list[bool]:
        """Return at which steps failures are seen, in as long a time as shows them."""
        bad, everything = (_windows(of) for of in (self.counted, self._all))
        quarter = [value or 0.0 for value in bad["15m"]]
        found = []
        for step in range(len(quarter)):
            worst = max(_last(quarter, step, 60))
            window, times = next((w, times) for least, w, times in _KNOWN if worst >= least)
            at = [step - _MINUTES[window] * place for place in range(times)]
            seen = _Seen(*(_added(of[window], at) for of in (bad, everything)))
            hour = _Seen(bad["1h"][step], everything["1h"][step])
            found.append(self.expected is not None and seen.is_above(self.expected, hour.ratio))
        return found

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
            and _as_seen(window) * seen[window].surprise(p) > limits.zscore * spread
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

    def is_above(self, expected: float, hour: float) -> bool:
        """Whether it is what the last hour had, or a good part of it."""
        least = max(expected + 0.02, 0.7 * expected + 0.3 * hour)
        return self.ratio > least and self.at_least(2)

    def surprise(self, expected: float) -> float:
        return surprise(self.counted, expected * self.everything) if self.everything else 0.0

    def at_least(self, calls: float) -> bool:
        return self.counted > calls - _ALMOST


def _last(values: Sequence[float], step: int, minutes: int) -> Sequence[float]:
    return values[max(0, step - minutes + (not closed())) : step + 1]


def _added(counted: Sequence[float | None], at: Sequence[int]) -> float | None:
    """The calls of windows that end at these steps, where all are known."""
    known = [value for step in at if step >= 0 and (value := counted[step]) is not None]
    return sum(known) if len(known) == len(at) else None


def _as_seen(window: str) -> float:
    """A scrape a minute sees a minute less than the window; rounded as the rules have it."""
    return round(sqrt(1 - 1 / _MINUTES[window]), 3)


def _windows(counters: Sequence[Sequence[float]]) -> dict[str, list[float | None]]:
    five, quarter, hour = (
        model.total(*(model.increase(counter, window, closed=closed()) for counter in counters))
        for window in (5, 15, 60)
    )
    return {"5m": five, "15m": quarter, "1h": hour, "6h": averaged(hour, 360, 6)}
