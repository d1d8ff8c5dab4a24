"""The cost of a shared ledger beside one on a disk: events a second, their p99, processor time.

The same exporter with SQLite and with PostgreSQL (both wait for the disk), in one run, round by
round, at so many connections; then three replicas at once. Processor time is of the exporter, or
exporters, and of the server. Every event is in /metrics in the end.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from testkit import calls
from testkit.exporter import Exporter
from testkit.postgres import Postgres

SCRIPT = Path(__file__).with_name("ended_calls.lua")
_TICKS = os.sysconf("SC_CLK_TCK")


def processor(pids: Sequence[int]) -> float:
    """Seconds of processor time that processes took, and their children that ended."""
    seconds = 0.0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # it ended: its parent has its time
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += sum(map(int, fields[11:15])) / _TICKS
    return seconds


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def load(exporters: Sequence[Exporter], connections: int, seconds: int) -> tuple[int, float, float]:
    """Send calls as fast as they are answered; return how many, in how long, and their p99."""
    each = max(1, connections // len(exporters))
    wrk = ["wrk", "-t1", f"-c{each}", f"-d{seconds}s", "--timeout=15s", "-s", str(SCRIPT)]
    started = [
        subprocess.Popen(
            [*wrk, one.webhook_url, str(number)],
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


def measure(
    exporters: Sequence[Exporter], server: Postgres, connections: int, seconds: int
) -> dict[str, float]:
    """One round."""
    before = sum(calls.counted(one.metrics())["calls"].total() for one in exporters)
    ours, theirs = [one.process.pid for one in exporters], family(server.process.pid)
    own, servers = processor(ours), processor(theirs)
    answered, lasted, p99 = load(exporters, connections, seconds)
    own, servers = processor(ours) - own, processor(theirs) - servers
    time.sleep(1)  # what wrk had in flight at its end may still be counted
    gained = sum(calls.counted(one.metrics())["calls"].total() for one in exporters) - before
    assert answered <= gained <= answered + connections, (answered, gained)
    return {
        "events/s": answered / lasted,
        "p99 ms": p99,
        "µs exporter": own / gained * 1e6,
        "µs server": servers / gained * 1e6,
    }


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64, 512])
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk on PATH (on Debian: apt-get install wrk)")
    results: dict[tuple[str, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=".") as temporary, Postgres(is_durable=True) as server:
        place = Path(temporary).resolve()
        for number in range(options.rounds):
            for connections in options.connections:
                for name, many in (("SQLite", 1), ("PostgreSQL", 1), ("three replicas", 3)):
                    database = server.database()
                    shared = [f"--ledger.url={server.url(database)}"]
                    exporters = [
                        Exporter(
                            place / re.sub(r"\W", "", f"{number}{connections}{name}{one}"),
                            *([] if name == "SQLite" else [*shared, f"--replica.name=r{one}"]),
                        )
                        for one in range(many)
                    ]
                    try:
                        found = measure(exporters, server, connections, options.seconds)
                    finally:
                        for one in exporters:
                            one.close()
                    results.setdefault((name, connections), []).append(found)
    print(f"{'':>16}{'connections':>12}" + "".join(f"{what:>14}" for what in found))
    for (name, connections), rounds in results.items():
        medians = [statistics.median(one[what] for one in rounds) for what in rounds[0]]
        print(f"{name:>16}{connections:>12}" + "".join(f"{one:14.1f}" for one in medians))


if __name__ == "__main__":
    main()
