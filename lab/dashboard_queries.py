"""The cost of the dashboards to a Prometheus that has a month of ten applications.

A real exporter is sent simulated calls; what it then shows is stretched over the days before, so
that each series grows as calls come over a week, and put into a real Prometheus as history, a new
error id every six seconds included. Then every query of every panel is run over seven days, with
the step that Grafana would choose on a wide screen: first each by itself, then all of a dashboard
at once, over as many connections as a browser opens.

Run as `python -m lab dashboard-queries`, from the repository's root.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import accumulate
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.curve import weekly
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES
from testkit import programs
from testkit.client import Client
from testkit.dashboards import NAMES, Query, View, choices, load, queries
from testkit.exporter import Exporter, Samples
from testkit.prometheus import Prometheus, promtool
from testkit.simulator import simulate

DAY = 24 * 3600
BLOCK = 18 * 3600  # seconds: one of the lengths that Prometheus gives its blocks
DAYS_SHOWN = 7
SCREEN = 1600  # pixels for 24 columns
CONNECTIONS = 6  # of a browser to a server, with HTTP/1.1
LIMIT_EACH, LIMIT_ALL = 1.0, 5.0  # seconds
ID_SECONDS, IDS_SHOWN = 6, 100  # the exporter's defaults: ten new error ids a minute, 100 at once
CALLS = 20_000
# Grafana's steps, each for a quotient of up to the second number (seconds).
STEPS = (
    *((15, 17.5), (20, 25), (30, 45), (60, 90), (120, 210), (300, 450), (600, 750), (900, 1050)),
    *((1200, 1500), (1800, 2700), (3600, 5400), (7200, 9000)),
)
TARGET = 'job="voice",instance="exporter:10060"'
_COUNTERS = {
    name for metric in catalog.METRICS if metric.kind != "gauge" for name in metric.samples
}


@dataclass(frozen=True)
class Series:
    """A series: what it shows after the calls, and whether it grows with them."""

    text: str  # name and labels
    value: float
    grows: bool


@dataclass(frozen=True)
class Timing:
    """A query, how long it took, and what the server worked for it, in seconds."""

    key: str
    dashboard: str
    seconds: float
    processor: float  # of the server, which may use several cores at once
    series: int


@dataclass(frozen=True)
class Past:
    """The history: its end, its length, the scrape interval, and the number of calls."""

    end: int
    days: int
    interval: int
    per_minute: float


def scraped(directory: Path, applications: int) -> Samples:
    """Every sample of an exporter that was sent calls of that many applications."""
    dice = random.Random(applications)
    ids = [str(uuid.UUID(bytes=dice.randbytes(16))) for _ in range(applications)]
    named = [f"--labels.application={one}=app-{at:02}" for at, one in enumerate(ids)]
    with Exporter(directory / "exporter", *named, "--metrics.newborn-hold=0s") as running:
        simulate(
            directory / "simulator",
            running.webhook_url,
            *("--seed=1", f"--events={CALLS}", "--flat", "--rate=6000", "--speed=50"),
            *(f"--application={one}" for one in ids),
        )
        return running.metrics()


def grows(name: str) -> bool:
    """Whether the samples of this name grow with the calls."""
    return name in _COUNTERS or name.endswith("_total")


def shown(directory: Path, applications: int) -> list[Series]:
    """Every series of such an exporter, and of the rules."""
    found = []
    for (name, pairs), value in scraped(directory, applications).items():
        labels = dict(pairs)
        if labels.get("error_id", "none") in {"none", "other"}:
            text = "".join(f'{label}="{text}",' for label, text in labels.items())
            found.append(Series(f"{name}{{{text}{TARGET}}}", value, grows(name)))
    return found + list(_of_rules())


def _of_rules() -> Iterator[Series]:
    """Return the series that Prometheus and the alert rules add."""
    for name, value in (
        ("up", 1.0),
        ("scrape_duration_seconds", 0.01),
        ("scrape_samples_scraped", 1400.0),
    ):
        yield Series(f"{name}{{{TARGET}}}", value, grows=False)
    for direction in DIRECTIONS:
        where = f'job="voice",direction="{direction}"'
        ready = "direction:bandwidth_voice_baseline_ready:bool"
        yield Series(f"{ready}{{{where}}}", 1.0, grows=False)
        for domain in ("user", "application", "account", "bandwidth"):
            limit = "direction_fault_domain:bandwidth_voice_failure_ratio:threshold1h"
            yield Series(f'{limit}{{{where},fault_domain="{domain}"}}', 0.1, grows=False)


def backfill(storage: Path, found: Sequence[Series], past: Past) -> int:
    """Write the past as blocks; return how many samples there are."""
    end, interval = past.end, past.interval
    first = (end - past.days * DAY) // BLOCK * BLOCK
    times = range(first, end + 1, interval)
    a_step = past.per_minute / CALLS / 60 * interval
    # Shares of what is shown now, as they add up: the same to the second every week.
    grown = list(accumulate(weekly(at % (7 * DAY)) * a_step for at in times))
    written = 0
    for begin in range(first, end, BLOCK):
        low, high = (begin - first) // interval, (begin + BLOCK - first) // interval
        stamps = [f" {at}\n" for at in times[low:high]]
        with tempfile.NamedTemporaryFile("w", suffix=".om", dir=storage.parent) as file:
            for series in found:
                _write(file, series, stamps, grown[low:high])
            ids = list(_error_ids(begin, min(begin + BLOCK, end + 1), interval))
            file.writelines(ids)
            file.write("# EOF\n")
            file.flush()
            _create_blocks(Path(file.name), storage)
        written += len(found) * len(stamps) + sum(line.count("\n") for line in ids)
        sys.stderr.write(f"\r{(begin - first) / (end - first):4.0%} of the history written")
    sys.stderr.write("\r\x1b[K")
    return written


def _write(file: IO[str], series: Series, stamps: Sequence[str], grown: Sequence[float]) -> None:
    head = f"{series.text} "
    if series.grows and series.value:
        whole = series.value.is_integer()
        values = [int(share * series.value) if whole else share * series.value for share in grown]
        lines = [f"{head}{value}{at}" for value, at in zip(values, stamps, strict=True)]
    else:
        lines = [f"{head}{series.value}{at}" for at in stamps]
    file.write("".join(lines))


def _error_ids(block: int, block_end: int, interval: int) -> Iterator[str]:
    """Ids of a block, each shown until a hundred others have come, its first scrapes at 0."""
    dice = random.Random(block)
    failures = CAUSES[1:]
    for birth in range(block, block_end, ID_SECONDS):
        text = (
            f'{catalog.CALL_ERRORS.name}{{direction="{dice.choice(DIRECTIONS)}",'
            f'cause="{dice.choice(failures)}",error_id="{uuid.UUID(bytes=dice.randbytes(16))}-'
            f'{birth}",{TARGET}}}'
        )
        begin = -(-birth // interval) * interval
        last = min(begin + ID_SECONDS * IDS_SHOWN, block_end)
        yield "".join(
            f"{text} {int(at > birth + 65)} {at}\n" for at in range(begin, last, interval)
        )


def _create_blocks(file: Path, storage: Path) -> None:
    length = f"--max-block-duration={BLOCK // 3600}h"
    command = ("tsdb", "create-blocks-from", "openmetrics", length, str(file), str(storage))
    done = promtool(*command, timeout=1200)
    assert done.returncode == 0, done.stderr


def step_of(query: Query, seconds: int) -> int:
    """The step that Grafana takes for a panel of this width."""
    quotient = seconds / (query.panel["gridPos"]["w"] / 24 * SCREEN)
    least = query.panel.get("interval", "15s")
    minimum = int(least[:-1]) * {"s": 1, "m": 60}[least[-1]]
    return max(minimum, next(step for step, most in STEPS if quotient < most))


def request_of(query: Query, end: int) -> str:
    """Return Grafana's queries for the days shown."""
    seconds = DAYS_SHOWN * DAY
    step = step_of(query, seconds)
    expr = View(range=seconds, interval=step).expand(query.expr, choices(load(query.dashboard)))
    if query.target["instant"]:
        return f"/api/v1/query?{urlencode({'query': expr, 'time': end})}"
    start, stop = (end - seconds) // step * step, end // step * step
    given = {"query": expr, "start": start, "end": stop, "step": step}
    return f"/api/v1/query_range?{urlencode(given)}"


def measure(server: Prometheus, query: Query, end: int, rounds: int) -> Timing:
    """The median of a few runs of a query over the days shown."""
    target = request_of(query, end)
    took = []
    worked = []
    series = 0
    for _ in range(rounds):
        before = processor_seconds(server)
        began = time.perf_counter()
        series = answered(server, target)
        took.append(time.perf_counter() - began)
        worked.append(processor_seconds(server) - before)
    medians = statistics.median(took), statistics.median(worked)
    return Timing(query.key, query.dashboard, *medians, series)


def answered(server: Prometheus, target: str) -> int:
    """Ask it over a connection of its own; return how many series came."""
    client = Client(server.address)
    try:
        answer = client.request("GET", target)
    finally:
        client.close()
    assert answer.status == HTTPStatus.OK, answer.text
    return len(answer.json["data"]["result"])


def opened(server: Prometheus, dashboard: str, end: int, rounds: int) -> float:
    """The median of the seconds from a dashboard's first query to its last answer."""
    targets = [request_of(query, end) for query in queries(dashboard)]
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as browser:
            list(browser.map(partial(answered, server), targets))
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def processor_seconds(server: Prometheus) -> float:
    """Return the server's processor time so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(
    timings: Sequence[Timing], at_once: Mapping[str, float], slowest: int
) -> dict[str, object]:
    """Print the tables and return what they say."""
    titles = f"{'queries':>8}{'slowest s':>11}{'at once s':>11}{'in turn s':>11}{'processor s':>13}"
    print(f"{'':12}{titles}  slowest query")
    for name in NAMES:
        own = sorted((each for each in timings if each.dashboard == name), key=_seconds)
        every, worked = sum(map(_seconds, own)), sum(each.processor for each in own)
        figures = f"{len(own):8}{own[-1].seconds:11.3f}{at_once[name]:11.2f}{every:11.2f}"
        print(f"{name:12}{figures}{worked:13.2f}  {own[-1].key}")
    print(f"{'promised':12}{'':8}{f'< {LIMIT_EACH:g}':>11}{f'< {LIMIT_ALL:g}':>11}\n")
    for each in sorted(timings, key=_seconds, reverse=True)[:slowest]:
        print(f"{each.seconds:8.3f} s {each.processor:8.3f} s {each.series:4} series  {each.key}")
    return {
        "slowest_seconds": max(map(_seconds, timings)),
        "at_once_seconds": {name: round(seconds, 2) for name, seconds in at_once.items()},
        "in_turn_seconds": sum(map(_seconds, timings)),
        "queries": {each.key: round(each.seconds, 4) for each in timings},
    }


def _seconds(timing: Timing) -> float:
    return timing.seconds


def main() -> None:
    """Build the history, measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--applications", type=int, default=10)
    parser.add_argument(
        "--interval", type=int, default=60, help="of scrapes, in seconds (%(default)s)"
    )
    parser.add_argument("--calls-per-minute", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slowest", type=int, default=10, help="how many to list")
    parser.add_argument("--keep", type=Path, help="a directory to keep the history in, or to use")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := programs.missing("prometheus", "promtool"):
        sys.exit(reason)
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        directory = (options.keep or Path(temporary)).resolve()
        storage = directory / "prometheus" / "storage"
        about = directory / "history.json"
        if not about.exists():
            storage.mkdir(parents=True)
            end = int(time.time()) // options.interval * options.interval
            found = shown(directory, options.applications)
            past = Past(end, options.days, options.interval, options.calls_per_minute)
            samples = backfill(storage, found, past)
            about.write_text(json.dumps({"end": end, "series": len(found), "samples": samples}))
        history = json.loads(about.read_text())
        print(
            f"{options.applications} applications, {options.days} days, a scrape every "
            f"{options.interval} s: {history['series']:,} series and the error ids, "
            f"{history['samples'] / 1e6:.0f} million samples\n"
        )
        # The blocks are as long as they may be: nothing is compacted while queries are timed.
        blocks = f"--storage.tsdb.max-block-duration={BLOCK // 3600}h"
        flags = ("--storage.tsdb.retention.time=1y", "--query.timeout=2m", blocks)
        with Prometheus(directory / "prometheus", flags=flags) as server:
            timings = [
                measure(server, query, history["end"], options.rounds)
                for name in NAMES
                for query in queries(name)
            ]
            at_once = {name: opened(server, name, history["end"], options.rounds) for name in NAMES}
    result = report(timings, at_once, options.slowest)
    if options.out:
        options.out.write_text(json.dumps({"history": history, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
