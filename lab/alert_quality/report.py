"""The results as tables: all of them beside the results, the shipped rules' in docs/quality.md."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.alert_quality import brief, picture, results
from lab.alert_quality.catalogue import (
    LEVELS,
    REPORTING_SEEDS,
    SENSITIVITY_SEEDS,
)
from lab.alert_quality.figures import TECHNICAL, Figures, Quantiles, Scored, Share, figures
from lab.alert_quality.incident import KINDS
from lab.alert_quality.scenario import Run, Suite
from lab.alert_quality.score import Score

_SILENT = 0.99  # of the time without incident
TABLE = "alert-quality.md"
PICTURE = "alert-quality.svg"
_NAMES: Mapping[str, str] = {results.OURS: "**this project's**"}
_HEAD = {1: "1/min", 10: "10/min", 60: "60/min", 30_000: "500/s"}

_BEGIN, _END = "<!-- alert quality -->\n", "<!-- end -->\n"

_NOTES = """\
Recall is of material incidents, with Wilson's 95 % interval. Times are median / 90th percentile of
what was found. A false alarm is one alert in one direction, its firings within 15 minutes merged,
that overlaps no incident of that direction nor the 30 minutes after it; a week is a week without
incident.
"""

Measured = dict[tuple[str, int], Figures]


def write(directory: Path, document: Path) -> None:
    """Write tables and the picture beside the results, and the short table into docs/quality.md."""
    (directory / TABLE).write_text(table(directory))
    picture.draw(beside(directory, REPORTING_SEEDS), directory / PICTURE)
    before, _, rest = document.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    document.write_text(f"{before}{_BEGIN}{short(directory)}{_END}{after}", "utf-8")


def short(directory: Path) -> str:
    """The shipped rules' figures beside what was aimed at, in Markdown."""
    found = measured(directory, "incidents", REPORTING_SEEDS)
    ours = {level: found[results.OURS, level] for level in LEVELS if (results.OURS, level) in found}
    lines = [*_header(["", *(_HEAD[level] for level in ours)]), *map(_row, brief.rows(ours))]
    return "\n".join(lines) + "\n"


def table(directory: Path, seeds: Sequence[int] = REPORTING_SEEDS) -> str:
    """All that was measured, in Markdown; what was not is left out.

    Raises ValueError where the results are of different versions of the same rules.
    """
    _check_versions(directory)
    usual = measured(directory, "incidents", seeds)
    unsteady = measured(directory, "unsteady", SENSITIVITY_SEEDS)
    parts = [
        _NOTES,
        _section("The shipped rules", _ours(usual)),
        _section("Against what else is in use", _peers(beside(directory, seeds))),
        _section("In unsteady traffic", _ours(unsteady)),
        _section("Benign cases: critical alarms", _benign(directory)),
        _section("Alerts that were not replayed", _not_replayed(directory)),
    ]
    return "\n".join(part for part in parts if part)


def measured(directory: Path, suite: Suite, seeds: Sequence[int]) -> Measured:
    """The figures of each rule set and level that there are results of."""
    return _added(_scores(directory, suite, seeds))


def beside(directory: Path, seeds: Sequence[int]) -> Measured:
    """The same of those runs only that every rule set was replayed in."""
    scores = _scores(directory, "incidents", seeds)
    every = set().union(*scores.values())
    return _added({run: found for run, found in scores.items() if set(found) == every})


def _scores(directory: Path, suite: Suite, seeds: Sequence[int]) -> dict[Run, dict[str, Score]]:
    found = {}
    for run in (Run(suite, level, seed) for level in LEVELS for seed in seeds):
        scored = results.load(directory / f"{run.name}.json")
        if of_run := {name: one.score for name, one in scored.items() if one.score is not None}:
            found[run] = of_run
    return found


def _added(scores: Mapping[Run, Mapping[str, Score]]) -> Measured:
    found: dict[tuple[str, int], list[Scored]] = {}
    for run, of_run in scores.items():
        entries = run.entries()
        for name, one in of_run.items():
            found.setdefault((name, run.level), []).append((entries, one))
    return {key: figures(some) for key, some in found.items()}


def _check_versions(directory: Path) -> None:
    versions: dict[str, set[str]] = {}
    for file in directory.glob("*.json"):
        for name, scored in results.load(file).items():
            versions.setdefault(name, set()).add(scored.inputs)
    mixed = sorted(name for name, inputs in versions.items() if len(inputs) > 1)
    if mixed:
        raise ValueError(f"results of more than one version of {', '.join(mixed)}: run again")


def _ours(found: Measured) -> Iterator[str]:
    levels = [level for level in LEVELS if (results.OURS, level) in found]
    ours = [found[results.OURS, level] for level in levels]
    if not ours:
        return
    yield from _header(["", *(_HEAD[level] for level in levels)])
    rows: list[tuple[str, Iterable[str]]] = [
        ("weeks without incident", (f"{of.weeks:.1f}" for of in ours)),
        ("false critical alarms a week", (_rate(of.false_critical, of.weeks) for of in ours)),
        ("false alarms a week", (_rate(of.false_any, of.weeks) for of in ours)),
        ("recall, application and Bandwidth", (_recall(of.recalled(TECHNICAL)) for of in ours)),
        ("recall, all", (_recall(of.recalled()) for of in ours)),
        *((f"recall, {kind}", [_recall(of.recall[kind]) for of in ours]) for kind in KINDS),
        (
            "recall by critical alarms, application and Bandwidth",
            (_recall(of.critical_recall) for of in ours),
        ),
        (
            "detected after, application and Bandwidth",
            (_both(of.detected_technical) for of in ours),
        ),
        ("… shares of 60 % and more", (_both(of.detected_large) for of in ours)),
        ("… shares about 20 %", (_both(of.detected_fifth) for of in ours)),
        ("detected after, all", (_both(of.detected) for of in ours)),
        ("resolved after the end, the alert that told first", (_both(of.cleared) for of in ours)),
        ("… every right alert, slow tickets too", (_both(of.resolved) for of in ours)),
        ("right fault domain first", (_recall(of.named) for of in ours)),
    ]
    for title, cells in rows:
        yield _row([title, *cells])


def _peers(found: Measured) -> Iterator[str]:
    levels = [level for level in LEVELS if any(key[1] == level for key in found)]
    if not levels:
        return
    weeks = next(iter(found.values())).weeks
    yield (
        "False alarms a week / recall of all material incidents / of application and Bandwidth, of "
        f"the same {weeks:.0f} weeks without incident for all."
    )
    yield ""
    yield from _header(["rules", *(_HEAD[level] for level in levels)])
    for name in (results.OURS, *results.PEERS):
        cells = [_three(found.get((name, level))) for level in levels]
        if any(cells):
            yield _row([_NAMES.get(name, name), *cells])


def _benign(directory: Path) -> Iterator[str]:
    counts: dict[str, dict[int, int]] = {}
    runs: dict[int, int] = {}
    for file in sorted(directory.glob("benign-*.json")):
        level = int(file.stem.split("-")[1])
        scored = results.load(file).get(results.OURS)
        if scored is None or scored.benign is None:
            continue
        runs[level] = runs.get(level, 0) + 1
        for case, alarms in scored.benign.critical.items():
            of_case = counts.setdefault(case, {})
            of_case[level] = of_case.get(level, 0) + len(alarms)
    levels = sorted(runs)
    if not levels:
        return
    yield from _header(["", *(f"{_HEAD[level]}, {runs[level]} runs" for level in levels)])
    for case, of_case in counts.items():
        yield _row([case, *(str(of_case.get(level, 0)) for level in levels)])


def _not_replayed(directory: Path) -> Iterator[str]:
    names = {
        name
        for file in directory.glob("*.json")
        for name in results.load(file).get(results.OURS, results.NOTHING).not_replayed
    }
    if names:
        yield "They read what the simulated traffic does not change: " + ", ".join(sorted(names))


def _section(title: str, lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return f"### {title}\n\n{text}\n" if text else ""


def _header(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield _row(["---"] * len(cells))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(count: int, weeks: float) -> str:
    return f"{count / weeks:.2f} ({count})"


def _recall(share: Share) -> str:
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.value:.3f} ({low:.2f}-{high:.2f}, n={share.of})"


def _both(of: Quantiles) -> str:
    return "-" if math.isnan(of.median) else f"{of.median:.0f} / {of.p90:.0f} min"


def _three(of: Figures | None) -> str:
    if of is None:
        return ""
    technical = of.recalled(TECHNICAL).value
    cell = f"{of.false_any / of.weeks:.1f} / {of.recalled().value:.2f} / {technical:.2f}"
    return cell + (", never silent" if of.alarmed > _SILENT else "")
