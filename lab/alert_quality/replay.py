"""A rule file evaluated over what was scraped, minute by minute, as Prometheus would have."""

import time
from collections.abc import Mapping

import msgspec
import numpy as np

from lab.alert_quality import states
from lab.alert_quality.counters import EPOCH, MINUTE
from lab.alert_quality.rules import Rule, RuleSet
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid, Result, Server
from lab.alert_quality.sites.order import stages

_AFTER_SCRAPE = 20_000  # ms: rules are evaluated at another second of the minute


class Alarm(msgspec.Struct, frozen=True):
    """One alert that fired; in minutes since the first one, ``end`` None: still fires."""

    labels: Mapping[str, str]
    start: float
    end: float | None


class Cost(msgspec.Struct, frozen=True):
    """What a rule cost in this replay, in seconds; ``series`` is how many it makes."""

    rule: str
    cpu: float
    wall: float
    series: int


class Outcome(msgspec.Struct, frozen=True):
    """The alarms of a rule set, in the order of their starts, and what each rule cost."""

    alarms: tuple[Alarm, ...]
    costs: tuple[Cost, ...]


def replay(server: Server, rules: RuleSet, minutes: int) -> Outcome:
    """Evaluate all rules at each minute; their recordings are written to the server."""
    alarms: list[Alarm] = []
    costs: dict[str, Cost] = {}
    for stage in stages(rules, rules.metrics()):
        # Rules that read their own past are evaluated over as long a time as they look back.
        length = minutes if stage.lag is None else stage.lag // MINUTE
        for begin in range(0, minutes, length):
            for rule in stage.rules:
                cpu, wall = server.cpu_seconds(), time.monotonic()
                grid = _grid(rule, begin, min(begin + length, minutes))
                results = server.evaluate(rule.expr, grid) if grid.count else []
                if rule.record:
                    server.write(recorded(rule, grid, one) for one in results)
                else:
                    alarms += (alarm for one in results for alarm in _alarms(rule, grid, one))
                before = costs.get(rule.name, Cost(rule.name, 0.0, 0.0, 0))
                costs[rule.name] = Cost(
                    rule.name,
                    before.cpu + server.cpu_seconds() - cpu,
                    before.wall + time.monotonic() - wall,
                    max(before.series, len(results)),
                )
    ordered = tuple(sorted(alarms, key=lambda alarm: alarm.start))
    return Outcome(ordered, tuple(costs.values()))


def _grid(rule: Rule, begin: int, end: int) -> Grid:
    step = round(rule.interval * 1000)
    first = -(-begin * MINUTE // step)
    count = -(-end * MINUTE // step) - first
    return Grid(EPOCH + _AFTER_SCRAPE + first * step, step, count)


def recorded(rule: Rule, grid: Grid, result: Result) -> Series:
    """Return what a recording rule stores of one series of its results."""
    values = np.full(grid.count + 1, STALE)
    values[result.at] = result.values
    present = np.zeros(grid.count + 1, np.bool_)
    present[result.at] = True
    # As Prometheus does, mark where a series ends, so that nobody takes it for still there.
    present[1:] |= present[:-1]
    present[-1] = False
    kept = np.flatnonzero(present)
    times = grid.start + grid.step * kept
    return Series({**result.labels, **rule.labels, "__name__": rule.record}, times, values[kept])


def _alarms(rule: Rule, grid: Grid, result: Result) -> list[Alarm]:
    found = states.firings(
        result.at,
        grid.count,
        hold=rule.hold,
        keep=rule.keep_firing,
        interval=rule.interval,
    )
    named = {**result.labels, **rule.labels, "alertname": rule.alert}
    return [
        Alarm(
            named,
            _minute(grid, firing.start),
            None if firing.end is None else _minute(grid, firing.end),
        )
        for firing in found
    ]


def _minute(grid: Grid, place: int) -> float:
    return round((grid.start + grid.step * place - EPOCH) / MINUTE, 3)
