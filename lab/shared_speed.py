"""The cost of a shared ledger beside one on a disk: events a second, their p99, processor time.

The same exporter with SQLite and with PostgreSQL (both wait for the disk), in one run, round by
round, at so many connections, each of which sends its next event at once; then three replicas with
as many together. The same at a rate of events that come at random. Processor time is of the
exporter, or exporters, and of the server. Every event is in /metrics in the end.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from testkit import calls
from testkit.exporter import Exporter
from testkit.postgres import Postgres
from testkit.process import Process

SCRIPT = Path(__file__).with_name("ended_calls.lua")
SQLITE, ALONE, THREE = "SQLite", "PostgreSQL", "three replicas"
_PACED = 300  # connections whose events come at a rate
_ACQUAINTED = 3  # seconds, after which replicas know of each other
_COMMITS = "bandwidth_voice_exporter_ledger_commit_seconds_count"
_TICKS = os.sysconf("SC_CLK_TCK")


class Load(msgspec.Struct, frozen=True):
    """Connections, and the rate at which their events come together; 0 for as fast as they can."""

    connections: int
    rate: int = 0

    @property
    def pause(self) -> float:
        """Milliseconds on average between an answer and the next event of a connection."""
        return self.connections / self.rate * 1000 if self.rate else 0


def processor(process: Process) -> float:
    """Seconds of processor time that a process took, its threads, and its children that ended."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def servers(server: Postgres) -> float:
    """The same of a server: its processes live on, and take less than a tick at a time."""
    pid = server.process.pid
    seconds = processor(server.process)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it ended: its parent has its time
            seconds += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9
    return seconds


def load(exporters: Sequence[Exporter], offered: Load, seconds: int) -> tuple[int, float, float]:
    """Send calls; return how many were answered, in how long, and their p99."""
    each = max(1, offered.connections // len(exporters))
    wrk = ["wrk", "-t1", f"-c{each}", f"-d{seconds}s", "--timeout=15s", "-s", str(SCRIPT)]
    started = [
        subprocess.Popen(
            [*wrk, one.webhook_url, str(number), str(offered.pause)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, one in enumerate(exporters)
    ]
    results = [json.loads(one.communicate()[0].splitlines()[-1]) for one in started]
    assert not any(result["failed"] for result in results), results
    return (
        sum(result["answered"] for result in results),
        max(result["seconds"] for result in results),
        max(result["p99_ms"] for result in results),
    )


def done(exporters: Sequence[Exporter]) -> tuple[int, float]:
    """How many events are counted, and in how many commits."""
    found = [one.metrics() for one in exporters]
    counted = sum(calls.counted(one)["calls"].total() for one in found)
    return counted, sum(one[_COMMITS, frozenset()] for one in found)


def measure(
    exporters: Sequence[Exporter], server: Postgres, offered: Load, seconds: int
) -> dict[str, float]:
    """One round."""
    before, commits = done(exporters)
    own, theirs = sum(processor(one.process) for one in exporters), servers(server)
    answered, lasted, p99 = load(exporters, offered, seconds)
    own = sum(processor(one.process) for one in exporters) - own
    theirs = servers(server) - theirs
    time.sleep(1)  # what wrk had in flight at its end may still be counted
    after, in_commits = done(exporters)
    gained = after - before
    assert answered <= gained <= answered + offered.connections, (answered, gained)
    return {
        "events/s": answered / lasted,
        "p99 ms": p99,
        "a commit": gained / (in_commits - commits),
        "µs exporter": own / gained * 1e6,
        "µs server": theirs / gained * 1e6,
    }


def one_round(
    server: Postgres, place: Path, offered: Load, kind: str, options: argparse.Namespace
) -> dict[str, float]:
    """Measure new exporters of a kind."""
    shared = f"--ledger.url={server.url(server.database())}"
    flags = [[shared, f"--replica.name={name}"] for name in ("one", "two", "three")]
    no_flags: list[str] = []
    given = {SQLITE: [no_flags], ALONE: flags[:1], THREE: flags}[kind]
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)))
        exporters = [
            stack.enter_context(Exporter(directory / str(number), *some))
            for number, some in enumerate(given)
        ]
        time.sleep(_ACQUAINTED)
        return measure(exporters, server, offered, options.seconds)


def report(results: Mapping[tuple[Load, str], Sequence[Mapping[str, float]]]) -> None:
    """Print a table of medians, and what three replicas cost the server beside one."""
    columns = [*next(iter(results.values()))[0]]
    print(f"{'':>16}{'connections':>13}{'rate':>7}" + "".join(f"{what:>13}" for what in columns))
    for (offered, kind), rounds in results.items():
        medians = [statistics.median(one[what] for one in rounds) for what in columns]
        given = f"{kind:>16}{offered.connections:>13}{offered.rate or '':>7}"
        print(given + "".join(f"{one:13.1f}" for one in medians))
    for offered in dict.fromkeys(offered for offered, _ in results):
        ratios = [
            three["µs server"] / one["µs server"]
            for one, three in zip(results[offered, ALONE], results[offered, THREE], strict=True)
        ]
        at = f"{offered.rate} events/s" if offered.rate else f"{offered.connections} connections"
        print(
            f"an event of three replicas, beside one of one replica, costs the server at {at}: "
            f"{statistics.median(ratios):.2f} (of {min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 64, 512])
    parser.add_argument("--rates", type=int, nargs="*", default=[1000], help="events a second")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk on PATH (on Debian: apt-get install wrk)")
    offers = [Load(connections) for connections in options.connections]
    offers += [Load(_PACED, rate) for rate in options.rates]
    results: dict[tuple[Load, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=".tools") as place, Postgres(is_durable=True) as server:
        for _ in range(options.rounds):
            for offered in offers:
                for kind in (SQLITE, ALONE, THREE):
                    found = one_round(server, Path(place).resolve(), offered, kind, options)
                    results.setdefault((offered, kind), []).append(found)
    report(results)


if __name__ == "__main__":
    main()
