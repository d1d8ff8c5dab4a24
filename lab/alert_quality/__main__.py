"""The command: `python -m lab.alert_quality run|quick|tune|report`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.alert_quality import benign, catalogue, report, results, rules, tune
from lab.alert_quality.counters import SCRAPED
from lab.alert_quality.scenario import Run

_TUNED = results.CACHE / "tuning"
_QUICK = results.CACHE / "quick"
_QUICK_LEVELS = (10, 60)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m lab.alert_quality", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="replay and score, then keep the results")
    run.add_argument("--seeds", choices=("reporting", "tuning"), default="reporting")
    run.add_argument("--suites", default="incidents,unsteady,benign")
    _common(run)
    run.add_argument("--rules", default="all", help="ours, peers, all, or names with commas")
    tuned = commands.add_parser("tune", help="show what a rule file missed and what was false")
    _common(tuned)
    tuned.add_argument("--file", type=Path, default=results.path_of(results.OURS))
    commands.add_parser("quick", help="one seed, two levels, all rule sets")
    commands.add_parser("report", help="write the tables and the picture")
    options = parser.parse_args(arguments)
    if options.command == "run":
        into = results.COMMITTED if options.seeds == "reporting" else _TUNED
        suites, levels = options.suites.split(","), _levels(options.levels)
        runs = _runs(options.seeds, suites, levels, options.only)
        results.run_all(runs, _files(options.rules), into, options.jobs)
    elif options.command == "tune":
        runs = [
            Run("incidents", level, seed)
            for level in _levels(options.levels)
            for seed in catalogue.TUNING_SEEDS[: options.only]
        ]
        _tune(runs, options.file, options.jobs)
    elif options.command == "quick":
        runs = [Run("incidents", level, catalogue.REPORTING_SEEDS[0]) for level in _QUICK_LEVELS]
        results.run_all(runs, _files("all"), _QUICK, 2)
        print(report.table(_QUICK))
    else:
        report.write(results.COMMITTED, results.ROOT / "docs" / "quality.md")


def _common(parser: argparse.ArgumentParser) -> None:
    everything = ",".join(str(level) for level in catalogue.LEVELS)
    parser.add_argument("--levels", default=everything, help="calls a minute, with commas")
    parser.add_argument("--only", type=int, help="so many seeds of each suite (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")


def _levels(text: str) -> list[int]:
    return [int(level) for level in text.split(",")]


def _runs(seeds: str, suites: Sequence[str], levels: Sequence[int], only: int | None) -> list[Run]:
    reporting = seeds == "reporting"
    of_suite = {
        "incidents": catalogue.REPORTING_SEEDS if reporting else catalogue.TUNING_SEEDS,
        "unsteady": catalogue.SENSITIVITY_SEEDS if reporting else (),
        "benign": benign.REPORTING_SEEDS if reporting else benign.TUNING_SEEDS,
    }
    return [
        Run(suite, level, seed)  # type: ignore[arg-type]
        for suite in suites
        for seed in of_suite[suite][:only]
        for level in levels
    ]


def _files(names: str) -> Mapping[str, Path]:
    groups = {
        "ours": (results.OURS,),
        "peers": results.PEERS,
        "all": (results.OURS, *results.PEERS),
    }
    chosen = groups.get(names, tuple(names.split(",")))
    return {name: results.path_of(name) for name in chosen}


def _tune(runs: Sequence[Run], file: Path, jobs: int) -> None:
    known = rules.load(file).about(SCRAPED)
    for line in tune.summary(results.of_one(runs, known, jobs)):
        print(line)


if __name__ == "__main__":
    main()
