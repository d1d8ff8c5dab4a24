"""The figures of a rule set at a level, over all its runs."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from lab.alert_quality.catalogue import Entry
from lab.alert_quality.incident import KINDS
from lab.alert_quality.score import Found, Score

TECHNICAL = ("application", "bandwidth")
_Z = 1.959964  # of 95 %


class Share(msgspec.Struct, frozen=True):
    """``hits`` of ``of``."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; not a number where there is nothing to take a share of."""
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval, 95 %."""
        if not self.of:
            return 0.0, 1.0
        n, p = self.of, self.value
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)


class Quantiles(msgspec.Struct, frozen=True):
    """Minutes; not a number where nothing was found."""

    median: float
    p90: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Rates in alarms a week, times in minutes."""

    weeks: float
    false_critical: int
    false_any: int
    alarmed: float  # share of the time without incident in which anything fires
    recall: Mapping[str, Share]  # by kind, of material incidents
    critical_recall: Share  # of application and Bandwidth, found by a critical alarm
    detected: Quantiles  # all kinds
    detected_technical: Quantiles
    detected_large: Quantiles  # application and Bandwidth, shares of 60 % and more
    detected_fifth: Quantiles  # the same, shares of 15 to 27 %
    cleared: Quantiles  # the alert that told first
    resolved: Quantiles  # every right alert
    named: Share

    def recalled(self, kinds: Iterable[str] = KINDS) -> Share:
        """Recall of several kinds together."""
        shares = [self.recall[kind] for kind in kinds]
        return Share(sum(share.hits for share in shares), sum(share.of for share in shares))


Scored = tuple[Sequence[Entry], Score]  # of one run
Case = tuple[Entry, Found]


def figures(scores: Sequence[Scored]) -> Figures:
    """Add up runs of one rule set at one level."""
    cases = [
        (entry, found)
        for entries, score in scores
        for entry, found in zip(entries, score.found, strict=True)
        if entry.material
    ]
    technical = [case for case in cases if case[0].incident.kind in TECHNICAL]
    weeks = sum(score.free_weeks for _, score in scores)
    named = [found.named for _, found in cases if found.named is not None]
    return Figures(
        weeks=weeks,
        false_critical=sum(score.false_critical for _, score in scores),
        false_any=sum(score.false_any for _, score in scores),
        alarmed=sum(score.alarmed_weeks for _, score in scores) / weeks,
        recall={
            kind: _share(
                found.detected is not None for entry, found in cases if entry.incident.kind == kind
            )
            for kind in KINDS
        },
        critical_recall=_share(found.critical is not None for _, found in technical),
        detected=_detected(cases),
        detected_technical=_detected(technical),
        detected_large=_detected(_of_share(technical, 0.6, 1.0)),
        detected_fifth=_detected(_of_share(technical, 0.15, 0.27)),
        cleared=_quantiles(found.cleared for _, found in cases),
        resolved=_quantiles(found.resolved for _, found in cases),
        named=_share(named),
    )


def _of_share(cases: Iterable[Case], least: float, most: float) -> list[Case]:
    return [case for case in cases if least <= case[0].incident.share <= most]


def _detected(cases: Iterable[Case]) -> Quantiles:
    return _quantiles(found.detected for _, found in cases)


def _share(hits: Iterable[bool]) -> Share:
    every = list(hits)
    return Share(sum(every), len(every))


def _quantiles(values: Iterable[float | None]) -> Quantiles:
    known = sorted(value for value in values if value is not None)
    return Quantiles(_quantile(known, 0.5), _quantile(known, 0.9))


def _quantile(ascending: Sequence[float], share: float) -> float:
    # The least value that so large a share does not exceed.
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
