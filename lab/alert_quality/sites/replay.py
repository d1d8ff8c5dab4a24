"""A run replayed: its rules evaluated minute by minute, in NumPy or on a real Prometheus."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lab.alert_quality import states
from lab.alert_quality.counters import MINUTE
from lab.alert_quality.promql import Evaluator
from lab.alert_quality.replay import Alarm, recorded
from lab.alert_quality.rules import Rule
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid, Result, Server
from lab.alert_quality.sites.order import Stage
from testkit.closing import Closing

_AFTER_SCRAPE = 20_000  # milliseconds: rules are evaluated at another second of the minute


class Engine(Protocol):
    """What stores samples and evaluates expressions over them."""

    def write(self, series: Iterable[Series], grid: Grid) -> None:
        """Store samples taken at moments of a grid."""

    def evaluate(self, expr: str, grid: Grid) -> list[Result]:
        """Evaluate an expression at every moment of a grid."""


class Prometheus(Closing):
    """A real one, as an engine; runs until the context is left."""

    def __init__(self, directory: Path) -> None:
        self._server = Server(directory)

    def write(self, series: Iterable[Series], grid: Grid) -> None:  # noqa: ARG002 - it takes any time
        """Store samples."""
        self._server.write(series)

    def evaluate(self, expr: str, grid: Grid) -> list[Result]:
        """Evaluate an expression at every moment of a grid."""
        return self._server.evaluate(expr, grid)

    def close(self) -> None:
        """End it."""
        self._server.close()


def in_numpy(epoch: int, minutes: int) -> Evaluator:
    """The fast one."""
    return Evaluator(epoch, epoch + minutes * MINUTE)


def replay(engine: Engine, stages: Sequence[Stage], epoch: int, minutes: int) -> tuple[Alarm, ...]:
    """Evaluate all rules at each minute, in the order of the stages; return what fired."""
    alarms: list[Alarm] = []
    for stage in stages:
        there: dict[int, list[Result]] = {}  # at the end of the span before
        for begin, end in _spans(stage.lag, minutes):
            for place, rule in enumerate(stage.rules):
                grid = _grid(rule, epoch, begin, end)
                results = engine.evaluate(rule.expr, grid) if grid.count else []
                if rule.record:
                    gone = _gone(rule, grid, there.get(place, ()), results)
                    written = (recorded(rule, grid, one) for one in results)
                    engine.write((*gone, *written), grid)
                    there[place] = [one for one in results if one.at[-1] == grid.count - 1]
                else:
                    alarms += _fired(rule, results, epoch, minutes)
    return tuple(sorted(alarms, key=lambda alarm: (alarm.start, sorted(alarm.labels.items()))))


def agreement(one: Sequence[Alarm], other: Sequence[Alarm]) -> tuple[int, int]:
    """Of all alarms of two replays, how many are the same to the minute, and how many there are."""
    first, second = ({_key(alarm) for alarm in alarms} for alarms in (one, other))
    return len(first & second), len(first | second)


def _key(alarm: Alarm) -> tuple[object, ...]:
    return (tuple(sorted(alarm.labels.items())), alarm.start, alarm.end)


def _spans(lag: int | None, minutes: int) -> Iterator[tuple[int, int]]:
    length = minutes if lag is None else lag // MINUTE
    for begin in range(0, minutes, length):
        yield begin, min(begin + length, minutes)


def _grid(rule: Rule, epoch: int, begin: int, end: int) -> Grid:
    """The evaluations of a rule in a span of minutes; each has its own rhythm from the epoch on."""
    step = round(rule.interval * 1000)
    first = -(-begin * MINUTE // step)
    count = -(-end * MINUTE // step) - first
    return Grid(epoch + _AFTER_SCRAPE + first * step, step, count)


def _gone(
    rule: Rule, grid: Grid, before: Sequence[Result], now: Sequence[Result]
) -> Iterator[Series]:
    """Mark those as gone that were there at the end of the span before, and are not any more."""
    first = [one.labels for one in now if one.at[0] == 0]
    for one in before:
        if one.labels not in first:
            labels = {**one.labels, **rule.labels, "__name__": rule.record}
            yield Series(labels, grid.times[:1], np.array([STALE]))


def _fired(rule: Rule, found: Sequence[Result], epoch: int, minutes: int) -> Iterator[Alarm]:
    grid = _grid(rule, epoch, 0, minutes)

    def minute(place: int) -> float:
        return round((grid.start + grid.step * place - epoch) / MINUTE, 3)

    for one in found:
        labels = {**one.labels, **rule.labels, "alertname": rule.alert}
        for firing in states.firings(
            one.at,
            grid.count,
            hold=rule.hold,
            keep=rule.keep_firing,
            interval=rule.interval,
        ):
            end = None if firing.end is None else minute(firing.end)
            yield Alarm(labels, minute(firing.start), end)
