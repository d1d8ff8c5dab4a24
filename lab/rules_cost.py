"""The cost of the shipped rules to a Prometheus that scrapes fifty applications of three replicas.

A real exporter is sent simulated calls; its samples are stretched over the last 26 hours, for each
replica, with a scrape every 15 seconds. Each recording rule is evaluated once, and its result is
stretched over two weeks, at its group's interval. Then a real Prometheus evaluates each rule by
itself, at some of the last minutes. The cost is the processor time of all rules, each by its
group's interval: without storing the results, but with printing them as JSON.

Run as `python -m lab rules-cost`, from the repository's root.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.curve import weekly
from lab.alert_quality import rules
from lab.alert_quality.counters import JOB
from lab.alert_quality.results import path_of
from lab.alert_quality.rules import Rule
from lab.alert_quality.samples import Series
from lab.alert_quality.server import Grid, Server
from lab.dashboard_queries import CALLS, DAY, grows, scraped
from testkit import programs
from testkit.exporter import Samples

PROMISED = 5  # per cent of a core
_END = round(datetime(2025, 6, 3, 11, tzinfo=UTC).timestamp())  # a Tuesday, at a busy hour
_RECENT = 26 * 3600  # seconds: no rule looks further back at what was scraped
_SCRAPE = 15  # seconds
_PASSES = 4  # recordings read each other, and their own past
_SHOWN = 8
_WEEK = 7 * DAY


def rates(times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the shares of the mean rate of calls at some unix times."""
    return np.array([weekly(at % _WEEK) for at in times.tolist()])


def of_replicas(samples: Samples, replicas: int, per_minute: float) -> Iterator[Series]:
    """Series of replicas that all show the same, with that many calls in all."""
    times = np.arange(_END - _RECENT, _END + 1, _SCRAPE)
    grown = np.cumsum(rates(times)) * per_minute / 60 * _SCRAPE / CALLS / replicas
    shown = {**samples, ("up", frozenset()): 1.0}
    for replica in range(replicas):
        target = {"job": JOB, "instance": f"exporter-{replica}:10060"}
        for (name, labels), value in shown.items():
            values = np.full(times.size, value)
            if name == catalog.LAST_EVENT.name:
                values = times - 1.0
            elif grows(name):
                values = np.floor(value * grown)
            yield Series({"__name__": name, **dict(labels), **target}, 1000 * times, values)


def of_rule(server: Server, rule: Rule, days: int) -> list[Series]:
    """Return a rule's present series, with a past of some days."""
    found = server.evaluate(rule.expr, Grid(1000 * _END, 1000, 1))
    if not found:
        return []
    times = np.arange(_END - days * DAY, _END + 1, round(rule.interval))
    shape = rates(times) / rates(times[-1:]) if ":increase" in rule.record else np.ones(times.size)
    return [
        Series(
            {**one.labels, **rule.labels, "__name__": rule.record},
            1000 * times,
            one.values[0] * shape,
        )
        for one in found
    ]


def record(server: Server, file: Sequence[Rule], days: int) -> dict[int, int]:
    """Store what all rules record; return the number of series by the rule's place in the file."""
    there: dict[int, int] = {}
    for _ in range(_PASSES):
        for place, rule in enumerate(file):
            if rule.record and not there.get(place):
                found = of_rule(server, rule, days)
                server.write(found)
                there[place] = len(found)
    return there


def cost(server: Server, rule: Rule, rounds: int) -> float:
    """The processor time of an evaluation, in seconds."""
    before = server.cpu_seconds()
    for minute in range(rounds):
        server.evaluate(rule.expr, Grid(1000 * (_END - 60 * minute), 1000, 1))
    return (server.cpu_seconds() - before) / rounds


def main() -> None:
    """Build the history, evaluate, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=50)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--calls-per-minute", type=float, default=600)
    parser.add_argument("--days", type=int, default=14, help="of what rules recorded before")
    parser.add_argument("--rounds", type=int, default=10, help="evaluations of each rule")
    options = parser.parse_args()
    if reason := programs.missing("prometheus"):
        sys.exit(reason)
    file = rules.load(path_of("bandwidth-voice")).rules
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(Path(directory, "prometheus")) as server,
    ):
        samples = scraped(Path(directory), options.applications)
        server.write(of_replicas(samples, options.replicas, options.calls_per_minute))
        recorded = record(server, file, options.days)
        shares = [100 * cost(server, rule, options.rounds) / rule.interval for rule in file]
    empty = {file[place].record for place, many in recorded.items() if not many}
    print(
        f"{options.applications} applications, {options.replicas} replicas, a scrape every "
        f"{_SCRAPE} s: {options.replicas * len(samples):,} series scraped, "
        f"{sum(recorded.values()):,} recorded\n"
        f"nothing to record for {', '.join(sorted(empty)) or 'none of the rules'}\n"
        f"{len(file)} rules take {sum(shares):.2f} % of a core (promised: under {PROMISED} %):"
    )
    dearest = sorted(zip(shares, file, strict=True), key=lambda one: -one[0])
    for share, rule in dearest[:_SHOWN]:
        print(f"{share:8.3f} %  {rule.name}, every {rule.interval:.0f} s")


if __name__ == "__main__":
    main()
