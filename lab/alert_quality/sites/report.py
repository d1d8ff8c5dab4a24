"""The results as tables, in Markdown: what was aimed at beside what was measured."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lab.alert_quality.figures import Share
from lab.alert_quality.results import OURS, PEERS
from lab.alert_quality.sites import rows
from lab.alert_quality.sites.calendar import SCORED
from lab.alert_quality.sites.demand import LEVELS
from lab.alert_quality.sites.figures import Judged, SiteFigures, figures
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
from lab.alert_quality.sites.site import SITES
from lab.alert_quality.sites.targets import Target
from lab.alert_quality.traffic import WEEK

_TITLES: Mapping[Group, str] = {
    "24/7": "Sites that are open day and night",
    "other": "Sites that close",
    "by hand": "Sites whose traffic people switch on and off",
}
_NOTES = """\
What was aimed at is in brackets: of times until an alert the median, of those until an end and of
notifications the 90th percentile. Shares with Wilson's and rates with Poisson's 95 % interval;
times are median / 90th percentile in minutes, from when the site is open to when it closes, or,
where calls that are hit are expected after that, to the last of them. A level is the mean rate over
open hours. A false alarm is a page or ticket in one direction, its firings within 15 minutes
merged, that overlaps no incident of that direction nor the 30 minutes after it; a week is one
without incident. Mondays are the days after a holiday too. Lost calls are silences that expect 30
calls and more, or losses of 70 % and more that expect 80; a silence that flaps is silent a third of
its time, and expects its 30 calls in all of it.
"""
_SEEDS: Mapping[Purpose, str] = {
    "tuning": "Thresholds were chosen by them.",
    "reporting": "No threshold was chosen by any of them.",
}
_MEASURED = ("<!-- sites -->\n", "<!-- sites end -->\n")
_FIRED = ("<!-- firings -->\n", "<!-- firings end -->\n")


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
        of_level = _levels(found, group)
        few = [level for level, of in of_level.items() if of.weeks < LEAST_WEEKS[group]]
        if few and not partly:
            raise ValueError(f"too few weeks without incident at {few} of {group}")
        if of_level:
            lines += [
                f"### {_TITLES[group]}",
                "",
                *_table(of_level, group),
                "",
                *_sorts(of_level),
                "",
            ]
            lines += [*_false(of_level), ""]
    lines += ["### How often each alert fired", "", *_firings(found), ""]
    lines += _beside(directory, found)
    return "\n".join(lines)


def _beside(directory: Path, found: Mapping[SiteRun, Result]) -> Iterator[str]:
    """Yield the figures of other rule sets beside the shipped one's, of the runs that all have."""
    of_set: dict[str, Mapping[SiteRun, Result]] = {OURS: found}
    for peer in PEERS:
        kept = {run: one for run in found if (one := load(run, directory / peer)) is not None}
        if kept:
            of_set[peer] = kept
    runs_of_all = set.intersection(*({*its} for its in of_set.values()))
    if len(of_set) == 1 or not runs_of_all:
        return
    yield from ("### Other rule sets", "")
    sites = ", ".join(site.name for site in SITES if any(r.site == site.name for r in runs_of_all))
    yield from (f"Of {len(runs_of_all)} runs: {sites}.", "")
    for level in sorted({run.level for run in runs_of_all}):
        yield from rows.header([f"{level}/min", *(row.title for row in rows.COMPARED)])
        for name, its in of_set.items():
            of = figures(_judged(its, (run for run in sorted(runs_of_all) if run.level == level)))
            yield rows.row([name, *(row.cell(of) for row in rows.COMPARED)])
        yield ""


def write(
    directory: Path, purpose: Purpose, beside: Path, documents: tuple[Path, Path], *, partly: bool
) -> None:
    """Write all tables, and the short ones into two documents: figures and firings.

    Raises ValueError as `table` does.
    """
    beside.write_text(table(directory, purpose, partly=partly), "utf-8")
    found = {run: result for run in runs(purpose) if (result := load(run, directory)) is not None}
    quality, readme = documents
    _between(quality, _MEASURED, _short(found, purpose))
    _between(readme, _FIRED, _firings(found))


def _between(document: Path, marks: tuple[str, str], lines: Iterator[str]) -> None:
    before, _, rest = document.read_text("utf-8").partition(marks[0])
    after = rest.partition(marks[1])[2]
    text = "".join(f"{line}\n" for line in lines)
    document.write_text(f"{before}{marks[0]}{text}{marks[1]}{after}", "utf-8")


def _short(found: Mapping[SiteRun, Result], purpose: Purpose) -> Iterator[str]:
    """What was aimed at and what came of it, without intervals."""
    yield f"{len(found)} of the {len(runs(purpose))} runs declared were made. {_SEEDS[purpose]}"
    yield _agreement(found)
    yield ""
    for group in GROUPS:
        of_level = _levels(found, group)
        if not of_level:
            continue
        yield from (f"**{_TITLES[group]}**", "")
        yield from rows.header(["", *(f"{level}/min" for level in of_level)])
        for row in rows.ROWS:
            if row.target is not None:
                yield rows.row([row.title, *_aimed(row.target, of_level, group)])
        yield ""


def _aimed(target: Target, of_level: Mapping[int, SiteFigures], group: Group) -> Iterator[str]:
    for level, of in of_level.items():
        value = target.value(of)
        yield "" if math.isnan(value) else f"{value:.3g}{target.said(of, group, level)}"


def _levels(found: Mapping[SiteRun, Result], group: Group) -> dict[int, SiteFigures]:
    return {
        level: figures(_judged(found, of_level))
        for level in LEVELS
        if (of_level := [run for run in found if run.group == group and run.level == level])
    }


def agreed(found: Mapping[SiteRun, Result]) -> tuple[int, int, int]:
    """Runs that a real Prometheus evaluated too, and the same of all their alarms."""
    real = [one for one in found.values() if one.same is not None and one.all is not None]
    return len(real), sum(one.same or 0 for one in real), sum(one.all or 0 for one in real)


def _judged(found: Mapping[SiteRun, Result], of: Iterable[SiteRun]) -> list[Judged]:
    return [(run.cases(), found[run].judgement) for run in of]


def _declared(purpose: Purpose, found: Mapping[SiteRun, Result]) -> Iterator[str]:
    """Every seed that was declared, by site, and whether it was run at all levels."""
    yield f"Declared {purpose} seeds, each at {', '.join(map(str, LEVELS))} calls a minute:"
    yield ""
    for site, seeds in SEEDS[purpose].items():
        told = (_seed(site, seed, found) for seed in seeds)
        yield f"- {site}: {', '.join(told)}"
    yield ""
    yield _agreement(found)


def _agreement(found: Mapping[SiteRun, Result]) -> str:
    count, same, together = agreed(found)
    return (
        f"{count} of {len(found)} runs were evaluated by a real Prometheus too:"
        f" {same} of {together} alarms were the same to the minute."
    )


def _seed(site: str, seed: int, found: Mapping[SiteRun, Result]) -> str:
    there = [level for level in LEVELS if SiteRun(site, level, seed) in found]
    if len(there) == len(LEVELS):
        return str(seed)
    return f"{seed} ({'only ' + ', '.join(map(str, there)) if there else 'not run'})"


def _table(of_level: Mapping[int, SiteFigures], group: Group) -> Iterator[str]:
    yield from rows.header(["", *(f"{level}/min" for level in of_level)])
    for row in rows.ROWS:
        said = (
            row.cell(of) + (row.target.said(of, group, level) if row.target else "")
            for level, of in of_level.items()
        )
        yield rows.row([row.title, *said])


def _firings(found: Mapping[SiteRun, Result]) -> Iterator[str]:
    """How often each alert fired a week, with a cause or without, at all levels of a site."""
    sites = [site.name for site in SITES if any(run.site == site.name for run in found)]
    weeks = {site: SCORED / WEEK * sum(run.site == site for run in found) for site in sites}
    fired: dict[str, dict[str, int]] = {}
    for run, result in found.items():
        for alert, count in result.judgement.fired.items():
            of_alert = fired.setdefault(alert, {})
            of_alert[run.site] = of_alert.get(run.site, 0) + count
    yield from rows.header(["firings a week", *sites])
    for alert, counts in sorted(fired.items()):
        yield rows.row([alert, *(f"{counts.get(site, 0) / weeks[site]:.1f}" for site in sites)])


def _sorts(of_level: Mapping[int, SiteFigures]) -> Iterator[str]:
    head = [f"{level}/min" for level in of_level]
    yield from rows.header(["found, of", *head, *(f"{one}, Mondays" for one in head)])
    for sort in sorted({sort for of in of_level.values() for sort in of.by_sort}):
        shares = [of.by_sort.get(sort) for of in of_level.values()]
        shares += [of.by_sort_mondays.get(sort) for of in of_level.values()]
        yield rows.row([sort, *(rows.found(share or Share(0, 0)) for share in shares)])


def _false(of_level: Mapping[int, SiteFigures]) -> Iterator[str]:
    total: dict[str, int] = {}
    for of in of_level.values():
        for alert, count in of.by_alert.items():
            total[alert] = total.get(alert, 0) + count
    yield from rows.header(["false alarms", *(f"{level}/min" for level in of_level)])
    for alert in sorted(total, key=lambda alert: (-total[alert], alert)):
        yield rows.row([alert, *(str(of.by_alert.get(alert, 0)) for of in of_level.values())])
