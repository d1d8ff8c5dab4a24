"""A past for the rules: made-up counters, and what recording rules would have stored of them."""

import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.traffic import Traffic
from demo import past
from demo.stage import JOB
from lab.alert_quality import rules as rulefile
from lab.alert_quality.replay import recorded
from lab.alert_quality.rules import RuleSet
from lab.alert_quality.server import Grid, Storage
from testkit.ruler import Ruler

_DAYS = 9
_NEAR = 2.0  # seconds: less than Prometheus looks back for a sample
_READ = (
    *(catalog.CALLS.name, catalog.RECONCILED_CALLS.name),
    *(catalog.SHORT_CALLS.name, catalog.TALK.name, "up"),
)


def make_up(
    prometheus: Ruler, file: Path, *, scale: int, rate: float, names: Mapping[str, str]
) -> None:
    """Store nine days, ``scale`` times as short, of calls before those that are scraped.

    Prometheus then follows the rules in the file. ``rate`` is in calls a minute, ``names`` are
    applications' names by id.
    """
    storage = Storage(HTTPConnection(prometheus.address))
    prometheus.wait_for_scrapes(JOB, 1)
    seconds = _DAYS * 86_400 // scale
    start = int(prometheus.scrapes(JOB)[0][0]) - seconds
    labels = {"job": JOB, "instance": "the past"}
    traffic = Traffic(rate=rate, flat=True)
    storage.write(past.counters(traffic, names, labels, start * 1000, seconds))
    _backfill(storage, rulefile.load(file).about(_READ), start)
    prometheus.follow(file)


def _backfill(storage: Storage, rules: RuleSet, start: float) -> None:
    """Record everything from ``start`` (unix seconds) until now."""
    begin = start
    while (now := time.time()) - begin > _NEAR:
        # What takes half a minute the first time leaves half a minute, which takes a second.
        for rule in rules.rules:
            if rule.record:
                grid = Grid(
                    round(begin * 1000),
                    round(rule.interval * 1000),
                    int((now - begin) / rule.interval),
                )
                found = storage.evaluate(rule.expr, grid)
                storage.write(recorded(rule, grid, one) for one in found)
        begin = now
