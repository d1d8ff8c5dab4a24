"""The figures of a rule set over several runs, as they are compared with what is aimed at."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from lab.alert_quality.figures import TECHNICAL, Quantiles, Share
from lab.alert_quality.incident import FLOW, LEAST_EXCESS
from lab.alert_quality.sites.happening import Case
from lab.alert_quality.sites.judge import DIGEST, Judgement, Verdict

_Z = 1.959964  # of 95 %
_LARGE = 0.6  # of calls fail
_SILENT = 30  # calls expected of a silence, as for one that does not flap
Judged = tuple[Sequence[Case], Judgement]  # of one run
_Each = tuple[Case, Verdict]


class Rate(msgspec.Struct, frozen=True):
    """``count`` in ``weeks``."""

    count: int
    weeks: float

    @property
    def value(self) -> float:
        """How many a week; not a number where there was no time."""
        return self.count / self.weeks if self.weeks else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Poisson, 95 %, after Byar."""
        n, m = self.count, self.count + 1
        low = n * (1 - 1 / (9 * n) - _Z / (3 * math.sqrt(n))) ** 3 if n else 0.0
        high = m * (1 - 1 / (9 * m) + _Z / (3 * math.sqrt(m))) ** 3
        return (low / self.weeks, high / self.weeks) if self.weeks else (0.0, math.inf)


class SiteFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of material cases unless said otherwise; times in minutes."""

    weeks: float  # without incident
    false_pages: Rate
    false_alarms: Rate  # pages and tickets
    false_digest: Rate  # what is read once a day
    by_alert: Mapping[str, int]  # false ones of all three
    technical: Share  # found, of application's and Bandwidth's
    material: Share
    by_sort: Mapping[str, Share]  # found of all cases of a sort that expect 20 calls and more
    by_sort_mondays: Mapping[str, Share]  # the same on Mondays and the days after holidays
    lost: Share  # silences and losses that expect enough calls
    lost_mondays: Share  # the same on Mondays and the days after holidays
    lost_flapping: Share  # those of any day and silences that flap, which expect as many calls
    mondays: Share
    silence_told: Quantiles
    failures_told: Quantiles  # application's and Bandwidth's of 60 % and more
    held: Share  # pages that did not resolve more than five minutes early
    cleared: Quantiles  # the alert that told first, flapping apart
    resolved: Quantiles  # every right alert, flapping apart
    resolved_flapping: Quantiles
    notified: Quantiles  # critical notifications of those paged, an incident and direction
    named: Share


def figures(judged: Sequence[Judged]) -> SiteFigures:
    """Add up runs."""
    weeks = sum(judgement.free_weeks for _, judgement in judged)
    every = [
        (case, verdict)
        for cases, judgement in judged
        for case, verdict in zip(cases, judgement.verdicts, strict=True)
    ]
    material = [each for each in every if each[0].material]
    technical = [each for each in material if each[0].incident.kind in TECHNICAL]
    lost = [each for each in every if each[0].lost_enough]
    flapped = [
        (case, verdict)
        for case, verdict in every
        if case.sort == "flapping silence" and case.calls >= _SILENT
    ]
    steady = [each for each in material if each[0].incident.course != "flapping"]
    flapping = [each for each in material if each[0].incident.course == "flapping"]
    false = [alarm for _, judgement in judged for alarm in judgement.false_alarms]
    return SiteFigures(
        weeks=weeks,
        false_pages=Rate(sum(judgement.false_pages for _, judgement in judged), weeks),
        false_alarms=Rate(sum(alarm.severity != DIGEST for alarm in false), weeks),
        false_digest=Rate(sum(alarm.severity == DIGEST for alarm in false), weeks),
        by_alert=Counter(alarm.alert for alarm in false),
        technical=_found(technical),
        material=_found(material),
        by_sort=_by_sort(every),
        by_sort_mondays=_by_sort([each for each in every if each[0].monday]),
        lost=_found(lost),
        lost_mondays=_found([each for each in lost if each[0].monday]),
        lost_flapping=_found(lost + flapped),
        mondays=_found([each for each in material if each[0].monday]),
        silence_told=_times(
            [each for each in lost if each[0].sort == "silence"], lambda one: one.told
        ),
        failures_told=_times(
            [each for each in technical if each[0].incident.share >= _LARGE], lambda one: one.told
        ),
        held=_share(one.held for _, one in material if one.held is not None),
        cleared=_times(steady, lambda one: one.cleared),
        resolved=_times(steady, lambda one: one.resolved),
        resolved_flapping=_times(flapping, lambda one: one.resolved),
        notified=_quantiles([n for _, one in material for n in one.notified if n]),
        named=_share(one.named for _, one in material if one.named is not None),
    )


def _by_sort(every: Sequence[_Each]) -> dict[str, Share]:
    sorts: dict[str, list[_Each]] = {}
    for case, verdict in every:
        # Partial losses are never material, and are to be known all the same.
        if case.material or (case.incident.kind == FLOW and case.calls >= LEAST_EXCESS):
            sorts.setdefault(case.sort, []).append((case, verdict))
    return {sort: _found(each) for sort, each in sorted(sorts.items())}


def _found(each: Sequence[_Each]) -> Share:
    return _share(verdict.told is not None for _, verdict in each)


def _share(hits: Iterable[bool]) -> Share:
    every = list(hits)
    return Share(sum(every), len(every))


def _times(each: Sequence[_Each], time: Callable[[Verdict], float | None]) -> Quantiles:
    return _quantiles([value for _, one in each if (value := time(one)) is not None])


def _quantiles(values: Sequence[float]) -> Quantiles:
    known = sorted(values)
    return Quantiles(*(_quantile(known, share) for share in (0.5, 0.9)))


def _quantile(ascending: Sequence[float], share: float) -> float:
    # The least value that so large a share does not exceed.
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
