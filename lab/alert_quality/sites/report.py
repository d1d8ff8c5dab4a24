"""The results as tables, in Markdown: what was aimed at beside what was measured."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.alert_quality.figures import Quantiles, Share
from lab.alert_quality.sites.demand import LEVELS
from lab.alert_quality.sites.figures import Judged, Rate, SiteFigures, figures
from lab.alert_quality.sites.results import Result, load
from lab.alert_quality.sites.run import (
    GROUPS,
    LEAST_WEEKS,
    SEEDS,
    Group,
    Purpose,
    SiteRun,
    runs,
)

_TITLES: Mapping[Group, str] = {
    "24/7": "Sites that are open day and night",
    "other": "Sites that close",
    "by hand": "Sites whose traffic people switch on and off",
}
_NOTES = """\
Shares with Wilson's and rates with Poisson's 95 % interval; times are median / 90th percentile in
minutes, from when the site is open to when it closes. A level is the mean rate over open hours. A
false alarm is one alert in one direction, its firings within 15 minutes merged, that overlaps no
incident of that direction nor the 30 minutes after it; a week is one without incident. Mondays are
the days after a holiday too. Lost calls are silences that expect 30 calls and more, or losses of
70 % and more that expect 80.
"""
_ROWS: tuple[tuple[str, Callable[[SiteFigures], str]], ...] = (
    ("weeks without incident", lambda of: f"{of.weeks:.1f}"),
    ("false pages a week", lambda of: _rate(of.false_pages)),
    ("false alarms a week", lambda of: _rate(of.false_alarms)),
    ("found, application and Bandwidth", lambda of: _found(of.technical)),
    ("found, all material", lambda of: _found(of.material)),
    ("… on Mondays and the day after a holiday", lambda of: _found(of.mondays)),
    ("lost calls told", lambda of: _found(of.lost)),
    ("… on Mondays and the day after a holiday", lambda of: _found(of.lost_mondays)),
    ("silence told after", lambda of: _both(of.silence_told)),
    ("failures of 60 % and more told after", lambda of: _both(of.failures_told)),
    ("pages that last until five minutes before the end", lambda of: _found(of.held)),
    ("resolved after the end, the alert that told first", lambda of: _both(of.cleared)),
    ("… every right alert", lambda of: _both(of.resolved)),
    ("… of what flaps", lambda of: _both(of.resolved_flapping)),
    (
        "critical notifications, an incident and direction",
        lambda of: _both(of.notified),
    ),
    ("right fault domain first", lambda of: _found(of.named)),
)


def table(directory: Path, purpose: Purpose = "reporting", *, partly: bool = False) -> str:
    """All that was measured.

    Raises ValueError where a declared seed is missing or a level has too few weeks (but for
    ``partly``), or where results are of different rules.
    """
    found = {run: result for run in runs(purpose) if (result := load(run, directory)) is not None}
    missing = sorted(set(runs(purpose)) - found.keys())
    if missing and not partly:
        raise ValueError(f"declared and not run: {', '.join(run.name for run in missing)}")
    if len({result.inputs for result in found.values()}) > 1:
        raise ValueError("results of more than one version: run again")
    lines = [_NOTES, *_declared(purpose, found), ""]
    for group in GROUPS:
        of_level = {
            level: figures(_judged(found, group, level))
            for level in LEVELS
            if any(run.group == group and run.level == level for run in found)
        }
        few = [level for level, of in of_level.items() if of.weeks < LEAST_WEEKS[group]]
        if few and not partly:
            raise ValueError(f"too few weeks without incident at {few} of {group}")
        if of_level:
            lines += [f"### {_TITLES[group]}", "", *_table(of_level), "", *_sorts(of_level), ""]
            lines += [*_false(of_level), ""]
    return "\n".join(lines)


def agreed(found: Mapping[SiteRun, Result]) -> tuple[int, int, int]:
    """Runs that a real Prometheus evaluated too, and the same of all their alarms."""
    real = [one for one in found.values() if one.same is not None and one.all is not None]
    return len(real), sum(one.same or 0 for one in real), sum(one.all or 0 for one in real)


def _judged(found: Mapping[SiteRun, Result], group: Group, level: int) -> list[Judged]:
    return [
        (run.cases(), result.judgement)
        for run, result in found.items()
        if run.group == group and run.level == level
    ]


def _declared(purpose: Purpose, found: Mapping[SiteRun, Result]) -> Iterator[str]:
    """Every seed that was declared, by site, and whether it was run at all levels."""
    yield f"Declared {purpose} seeds, each at {', '.join(map(str, LEVELS))} calls a minute:"
    yield ""
    for site, seeds in SEEDS[purpose].items():
        told = (_seed(site, seed, found) for seed in seeds)
        yield f"- {site}: {', '.join(told)}"
    count, same, together = agreed(found)
    yield ""
    yield (
        f"{count} of {len(found)} runs were evaluated by a real Prometheus too:"
        f" {same} of {together} alarms were the same to the minute."
    )


def _seed(site: str, seed: int, found: Mapping[SiteRun, Result]) -> str:
    there = [level for level in LEVELS if SiteRun(site, level, seed) in found]
    if len(there) == len(LEVELS):
        return str(seed)
    return f"{seed} ({'only ' + ', '.join(map(str, there)) if there else 'not run'})"


def _table(of_level: Mapping[int, SiteFigures]) -> Iterator[str]:
    yield from _header(["", *(f"{level}/min" for level in of_level)])
    for title, cell in _ROWS:
        yield _row([title, *(cell(of) for of in of_level.values())])


def _sorts(of_level: Mapping[int, SiteFigures]) -> Iterator[str]:
    head = [f"{level}/min" for level in of_level]
    yield from _header(["found, of", *head, *(f"{one}, Mondays" for one in head)])
    for sort in sorted({sort for of in of_level.values() for sort in of.by_sort}):
        shares = [of.by_sort.get(sort) for of in of_level.values()]
        shares += [of.by_sort_mondays.get(sort) for of in of_level.values()]
        yield _row([sort, *(_found(share or Share(0, 0)) for share in shares)])


def _false(of_level: Mapping[int, SiteFigures]) -> Iterator[str]:
    total: dict[str, int] = {}
    for of in of_level.values():
        for alert, count in of.by_alert.items():
            total[alert] = total.get(alert, 0) + count
    yield from _header(["false alarms", *(f"{level}/min" for level in of_level)])
    for alert in sorted(total, key=lambda alert: (-total[alert], alert)):
        yield _row([alert, *(str(of.by_alert.get(alert, 0)) for of in of_level.values())])


def _header(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield _row(["---"] * len(cells))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.value:.2f} ({low:.2f}-{high:.2f}, {rate.count})"


def _found(share: Share) -> str:
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.value:.3f} ({low:.2f}-{high:.2f}, n={share.of})"


def _both(of: Quantiles) -> str:
    return "-" if math.isnan(of.median) else f"{of.median:.0f} / {of.p90:.0f}"
