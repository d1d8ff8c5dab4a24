"""A simulated run with incidents, scraped by a real Prometheus that knows last week as well."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES
from bandwidth_voice_exporter.voice.event_types import DISCONNECT
from testkit.dashboard_counts import Leg, Legs, Vector, count, cumulated, labels, legs, total
from testkit.dashboard_moment import Moment
from testkit.dashboards import LABEL_VALUES, Query, View, choices, load
from testkit.dashboards import NAMES as DASHBOARDS
from testkit.exporter import Exporter
from testkit.prometheus import Job, Labels, Prometheus, promtool
from testkit.simulator import LogLine, simulate

JOB = "voice"
NEW_CAUSE = "sudden-silence"
HOLD = 4  # seconds: more than two scrapes
QUIET = 6  # seconds after that: so that a window of four scrapes has no call in it
WEEK = 7 * 24 * 3600
NAMES = {
    application.application_id: name
    for application, name in zip(APPLICATIONS, ("centre", "dialler", "ivr"), strict=True)
}
ERROR_IDS = 100_000  # more than there are: each failure has a series of its own
ARGUMENTS = (
    f"--metrics.newborn-hold={HOLD}s",
    *(f"--labels.application={identifier}={name}" for identifier, name in NAMES.items()),
    f"--errors.max-ids={ERROR_IDS}",
    f"--errors.max-new-per-minute={ERROR_IDS}",
)
# Every cause in either direction, one application in trouble, and a cause that nobody knows.
INCIDENTS = (
    *(
        f"--incident=cause={cause},after=0s,for=10m,share=0.01,direction={direction}"
        for cause in CAUSES
        for direction in DIRECTIONS
    ),
    f"--incident=cause=callback-error,after=0s,for=10m,share=0.3,application={next(iter(NAMES))}",
    f"--incident=cause={NEW_CAUSE},after=0s,for=10m,share=0.01",
)
TRAFFIC = (
    *("--events=2500", "--seed=7", "--flat", "--rate=6000", "--speed=8"),
    *("--duplicate-share=0.1", "--get-share=0.2", "--transfer-share=0.2"),
)

# Series that the dashboards take from the alert rules, with values that a test can know.
RULES = {
    "groups": [
        {
            "name": "in-test",
            "interval": "1s",
            "rules": [
                {
                    "record": "direction_fault_domain:bandwidth_voice_failure_ratio:threshold1h",
                    "expr": "count by (job, direction, fault_domain) (bandwidth_voice_calls_total"
                    f'{{cause!="{NEW_CAUSE}"}}) / 1000',
                },
                {
                    "record": "direction:bandwidth_voice_baseline_ready:bool",
                    "expr": "count by (job, direction) (bandwidth_voice_call_setup_seconds_count)",
                },
                {
                    "alert": "BandwidthVoiceInTest",
                    "expr": "max by (job, direction) (bandwidth_voice_call_setup_seconds_count)"
                    " >= 0",
                    "labels": {"severity": "critical", "fault_domain": "application"},
                },
                # Alerts that are not to be shown: one that does not fire yet, and somebody else's.
                {
                    "alert": "BandwidthVoicePending",
                    "expr": "max by (job) (bandwidth_voice_call_setup_seconds_count) >= 0",
                    "for": "1h",
                },
                {
                    "alert": "DiskFull",
                    "expr": "max by (job) (bandwidth_voice_call_setup_seconds_count) >= 0",
                },
            ],
        }
    ]
}

# A scrape interval that makes rates quotients by a power of two, which lose nothing.
WIDE = View(range=21600, interval=1024, scrape_interval=1024)


class Ruled(Prometheus):
    """A Prometheus with rules of its own."""

    def _write(self, jobs: Sequence[Job]) -> None:
        super()._write(jobs)
        rules = self._config.with_name("rules.json")
        rules.write_text(json.dumps(RULES))
        config = json.loads(self._config.read_text())
        self._config.write_text(json.dumps({**config, "rule_files": [str(rules)]}))


@dataclass(frozen=True)
class Run:
    """Events, and a Prometheus's samples of them, from before the first until after the last."""

    log: list[LogLine]
    week_ago: list[Leg]
    instance: str
    began: float
    ended: float
    server: Prometheus
    process_started: float
    last_received: float

    def moment(self, chosen: Mapping[str, Sequence[str]]) -> Moment:
        """The end of the run, with some choices made."""
        view = View(WIDE.range, WIDE.interval, WIDE.scrape_interval, chosen)
        return Moment(
            time=self.ended,
            view=view,
            job=JOB,
            instance=self.instance,
            applications=tuple(NAMES.values()),
            log=self.log,
            now=Legs(legs(self.log, NAMES), chosen),
            week_ago=Legs(self.week_ago, chosen),
            server=self.server,
        )


def evaluate(server: Prometheus, query: Query, view: View, at: float) -> Vector:
    """The answer to a panel's query at a time: a range query for graphs, of one step."""
    expr = view.expand(query.expr, choices(load(query.dashboard)))
    if query.target["instant"]:
        return server.query(expr, at)
    data = server.get("query_range", query=expr, start=at, end=at, step=view.interval)
    return {
        frozenset(series["metric"].items()): float(series["values"][0][1])
        for series in data["result"]
    }


def differences(found: Vector, expected: Vector) -> dict[Labels, tuple[float, float]]:
    """The differences, but for the last digit of a float (a call more would be far more)."""
    return {
        key: (found.get(key, math.nan), expected.get(key, math.nan))
        for key in found.keys() | expected.keys()
        if not math.isclose(
            found.get(key, math.nan), expected.get(key, math.nan), rel_tol=1e-12, abs_tol=0
        )
    }


def run(directory: Path) -> Iterator[Run]:
    """Simulate, scrape, put last week's history beside it, and leave the server running."""
    started = time.time()
    with Exporter(directory / "exporter", *ARGUMENTS) as running:
        job = Job(JOB, [running.ops_address])
        with Ruled(directory / "prometheus", job) as scraping:
            scraping.wait_for_scrapes(JOB, 2)
            scraping.process.wait_until(lambda: scraping.query("ALERTS"), "evaluated rules")
            scraping.wait_until_scraped_after(time.time())
            began = scraping.scrapes(JOB)[0][-1]
            log = simulate(directory / "simulator", running.webhook_url, *TRAFFIC, *INCIDENTS)
            scraping.process.wait_until(lambda: _rows(running) == _legs(log), "all calls stored")
            scraping.wait_until_scraped_after(time.time() + HOLD + QUIET)
            ended = scraping.scrapes(JOB)[0][-1]
            received = max(
                value
                for (name, _), value in running.metrics().items()
                if name == catalog.LAST_EVENT.name
            )
            assert scraping.stop() == 0
    half = legs(log[: len(log) // 2], NAMES)
    history = "\n".join(_history(half, running.ops_address, ended - WEEK))
    _backfill(directory, history)
    with Prometheus(directory / "prometheus") as server:
        yield Run(log, half, running.ops_address, began, ended, server, started, received)


def _rows(running: Exporter) -> float:
    return running.metrics()[catalog.LEDGER_ROWS.name, frozenset()]


def _legs(log: Sequence[LogLine]) -> int:
    return len({(line["event_type"], line["call_id"]) for line in log})


def _backfill(directory: Path, text: str) -> None:
    file = directory / "last-week.om"
    file.write_text(f"{text}\n# EOF\n")
    storage = directory / "prometheus" / "storage"
    done = promtool("tsdb", "create-blocks-from", "openmetrics", str(file), str(storage))
    assert done.returncode == 0, done.stderr


def _history(found: Sequence[Leg], instance: str, end: float) -> Iterator[str]:
    """Lines of OpenMetrics: each series from 0 ten minutes before to its total at the end."""
    calls = [leg for leg in found if leg.event_type == DISCONNECT]
    by_way = ("application", "direction")
    totals = {
        catalog.CALLS.name: count(calls, *by_way, "cause", "fault_domain", "answered"),
        catalog.TALK.name: total(calls, lambda leg: leg.talk or 0, *by_way),
        catalog.SHORT_CALLS.name: total(
            calls, lambda leg: leg.talk is not None and leg.talk <= 6, *by_way
        ),
    }
    events = {labels(event_type=DISCONNECT, result="counted"): float(len(calls))}
    totals[catalog.EVENTS.name] = events
    for name, vector in totals.items():
        for key, value in vector.items():
            yield from _series(name, dict(key), instance, value, end)
    for metric, length, by in (
        (catalog.SETUP, "setup", ("direction",)),
        (catalog.UNANSWERED, "unanswered", ("direction", "fault_domain")),
        (catalog.QUEUE, "queue", ("direction",)),
    ):
        for key in count([leg for leg in calls if getattr(leg, length) is not None], *by):
            group = [leg for leg in calls if all(getattr(leg, name) == text for name, text in key)]
            numbers = cumulated(group, attrgetter(length), metric.buckets)
            bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
            for bound, number in zip(bounds, numbers, strict=True):
                within = {**dict(key), "le": bound}
                yield from _series(f"{metric.name}_bucket", within, instance, number, end)


def _series(
    name: str, own: Mapping[str, str], instance: str, value: float, end: float
) -> Iterable[str]:
    pairs = {**own, "job": JOB, "instance": instance}
    text = ",".join(f'{label}="{str(value).lower()}"' for label, value in pairs.items())
    for at, share in ((600, 0), (400, 0.5), (200, 0.75), (0, 1)):
        yield f"{name}{{{text}}} {math.floor(value * share) if share < 1 else value} {end - at:.3f}"


def values_of_variables(done: Run, chosen: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """The values that each variable offers, by dashboard and name, where others are chosen."""
    found = {}
    for name in DASHBOARDS:
        dashboard = load(name)
        for variable in choices(dashboard):
            query = LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert query
            selector = View(chosen=chosen).expand(query["selector"], choices(dashboard))
            window: dict[str, str | float] = {"start": done.began, "end": done.ended}
            values = done.server.get(
                f"label/{query['label']}/values", **{"match[]": selector}, **window
            )
            found[f"{name}/{variable['name']}"] = set(values)
    return found
