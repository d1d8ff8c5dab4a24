"""The command: `python -m lab.alert_quality.sites run|report`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lab.alert_quality import results as of_day_and_night
from lab.alert_quality.sites import report, results
from lab.alert_quality.sites.demand import LEVELS
from lab.alert_quality.sites.run import SEEDS, SiteRun, replayed, runs
from lab.alert_quality.sites.site import SITES


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m lab.alert_quality.sites", description=__doc__)
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--seeds", choices=("reporting", "tuning"), default="tuning")
    parser.add_argument("--sites", default=",".join(site.name for site in SITES))
    parser.add_argument("--levels", default=",".join(str(level) for level in LEVELS))
    parser.add_argument("--only", type=int, help="so many seeds of each site (default: all)")
    parser.add_argument("--partly", action="store_true", help="report what there is")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--file", type=Path, default=of_day_and_night.path_of("bandwidth-voice"))
    parser.add_argument("--real", action="store_true", help="on a real Prometheus too")
    options = parser.parse_args(arguments)
    reporting = options.seeds == "reporting"
    into = results.directory(results.COMMITTED if reporting else results.CACHE, options.file)
    if options.command == "report":
        root = of_day_and_night.ROOT
        report.write(
            into,
            options.seeds,
            results.COMMITTED.with_name("sites.md"),
            (root / "docs" / "quality.md", root / "alerts" / "README.md"),
            partly=options.partly or not reporting,
        )
        return
    sites, levels = options.sites.split(","), {int(level) for level in options.levels.split(",")}
    chosen = [
        run
        for run in runs(options.seeds)
        if run.site in sites
        and run.level in levels
        and run.seed in SEEDS[options.seeds][run.site][: options.only]
    ]
    real: Sequence[SiteRun] = chosen if options.real else replayed() if reporting else ()
    results.run_all(chosen, options.file, into, real=real, jobs=options.jobs)


if __name__ == "__main__":
    main()
