"""A past for the rules: made-up counters, and what recording rules would have stored of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.traffic import Traffic
from demo import past
from demo.stage import JOB
from lab.alert_quality import rules as rulefile
from lab.alert_quality.replay import recorded
from lab.alert_quality.rules import Rule
from lab.alert_quality.server import Grid, Storage
from lab.alert_quality.sites.order import stages
from testkit.ruler import Ruler

_DAYS = 9
_NEAR = 2.0  # seconds: less than Prometheus looks back for a sample
_READ = (
    *(catalog.CALLS.name, catalog.RECONCILED_CALLS.name),
    *(catalog.SHORT_CALLS.name, catalog.TALK.name, "up"),
)


class Step(msgspec.Struct, frozen=True):
    """Rules that are evaluated over so many seconds after each other; None: over all at once."""

    rules: Sequence[Rule]
    seconds: float | None


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
    _backfill(storage, _steps(file, scale), start)
    prometheus.follow(file)


def _steps(file: Path, scale: int) -> list[Step]:
    """Return the recording rules in an order in which each comes after those that it reads.

    The order is that of the rules as they are shipped: whether one reads its own past of a day or a
    week ago is told by its hours.
    """
    shipped = rulefile.load(Path("alerts/bandwidth-voice.rules.yml"))
    ours = dict(zip(map(id, shipped.rules), rulefile.load(file).rules, strict=True))
    return [
        Step(
            [ours[id(rule)] for rule in stage.rules if rule.record],
            None if stage.lag is None else stage.lag / 1000 / scale,
        )
        for stage in stages(shipped, _READ)
    ]


def _backfill(storage: Storage, steps: Sequence[Step], start: float) -> None:
    """Record everything from ``start`` (unix seconds) until now."""
    begin = start
    while (now := time.time()) - begin > _NEAR:
        # The first part takes half a minute, and leaves half a minute, which takes a second.
        for step in steps:
            for first, last in _parts(begin, now, step.seconds):
                for rule in step.rules:
                    _record(storage, rule, first, last)
        begin = now


def _parts(begin: float, end: float, length: float | None) -> Iterator[tuple[float, float]]:
    while begin < end:
        last = end if length is None else min(begin + length, end)
        yield begin, last
        begin = last


def _record(storage: Storage, rule: Rule, begin: float, end: float) -> None:
    step = round(rule.interval * 1000)
    grid = Grid(round(begin * 1000), step, int((end - begin) / rule.interval))
    if grid.count:
        storage.write(recorded(rule, grid, one) for one in storage.evaluate(rule.expr, grid))
