"""Writes the rule file: ``python -m alerts.generator``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alerts.generator import (
    config,
    counts,
    exporter,
    failures,
    flow,
    forwards,
    kpi,
    lengths,
    meta,
    rare,
    share,
    threshold,
    users,
    volume,
)
from alerts.generator.rulefile import Group, render

_HERE = Path(__file__).resolve().parents[1]


def groups(settings: config.Config) -> tuple[Group, ...]:
    """Return all rules: a chain is in one group, in order."""
    return (
        Group(
            "bandwidth-voice-baseline",
            share.BASELINE_INTERVAL,
            (*share.baselines(), *volume.baselines(), *lengths.baselines()),
        ),
        Group(
            "bandwidth-voice-calls",
            "1m",
            (
                *counts.recordings(settings.job),
                *share.recordings(),
                *volume.recordings(),
                *lengths.recordings(settings.job),
                *meta.recordings(),
                *failures.alerts(settings),
                *rare.alerts(settings),
                *users.alerts(settings),
                *lengths.alerts(settings),
                *flow.alerts(settings),
                *meta.alerts(settings),
            ),
        ),
        Group(
            "bandwidth-voice-kpi",
            "1m",
            (
                *counts.for_dashboards(settings.job),
                *threshold.recordings(settings),
                *kpi.recordings(),
            ),
        ),
        Group(
            "bandwidth-voice-exporter",
            "1m",
            (*exporter.alerts(settings), *forwards.alerts(settings)),
        ),
    )


def main(argv: Sequence[str]) -> int:
    """Write the rules and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m alerts.generator", description=__doc__)
    parser.add_argument("--config", type=Path, default=_HERE / "config.toml", metavar="FILE")
    parser.add_argument("--output", type=Path, default=_HERE / "bandwidth-voice.rules.yml")
    parser.add_argument(
        "--time-scale", type=int, default=1, metavar="N", help="divide every duration by N"
    )
    found = parser.parse_args(argv)
    if found.time_scale < 1:
        parser.error("--time-scale: at least 1")
    try:
        settings = config.load(found.config)
        text = render(groups(settings), settings.links.runbooks, found.time_scale)
        found.output.write_text(text, "utf-8")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
