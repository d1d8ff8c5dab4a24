"""Measure section by section, keep what was measured, print it all as tables.

Each section is in results/ as soon as it is done: what is there is not measured again unless it
is asked for by name or with --again.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.peers import install
from lab.speed import growth, pauses, scrapes, steps, throughput
from lab.speed.report import RESULTS, measured, report


@dataclass(frozen=True)
class Section:
    """One table: how it is measured, how often and for how long."""

    what: str
    measure: Callable[[int, int], dict[str, Any]]
    rounds: int
    seconds: int


SECTIONS = {
    "hot": Section("64 connections that stay", throughput.hot, 5, 10),
    "one": Section("one connection", throughput.one, 3, 6),
    "many": Section("512 connections", throughput.many, 3, 8),
    "fresh": Section("a new connection for each event, 64 at once", throughput.fresh, 3, 6),
    "tls": Section("64 connections with TLS", throughput.tls, 3, 8),
    "latency": Section("1,000 events a second, on time", scrapes.latency, 3, 30),
    "scrape": Section("a scrape by applications", scrapes.scraped, 3, 8),
    "pause": Section("the event loop's longest pause under load", pauses.paused, 3, 15),
    "growth": Section("a ledger by its rows", growth.grown, 3, 10),
    "again": Section("redeliveries of old calls", growth.again, 3, 8),
    "steps": Section("the exporter's own work on an event, step by step", steps.steps, 5, 0),
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help=f"of {', '.join(SECTIONS)}; with commas between")
    parser.add_argument("--again", action="store_true", help="measure what was measured before too")
    parser.add_argument("--table", action="store_true", help="write what was measured before")
    parser.add_argument("--rounds", type=int, help="instead of a section's own number")
    parser.add_argument("--seconds", type=int, help="of a run, instead of a section's own")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the figures")
    options = parser.parse_args()
    # Ended as by Ctrl-C: what it has started goes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = options.only.split(",") if options.only else list(SECTIONS)
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(unknown)}")
    options.results.mkdir(exist_ok=True)
    if not options.table:
        _prepare()
        for name in names:
            file = options.results / f"{name}.json"
            if options.only or options.again or not file.exists():
                _measure(name, file, options.rounds, options.seconds)
    text = report(measured(options.results))
    (options.results / "speed.md").write_text(f"{text}\n")
    print(text)


def _prepare() -> None:
    if not shutil.which("wrk"):
        sys.exit("this needs wrk on PATH (on Debian: apt-get install wrk)")
    install.TOOLS.mkdir(exist_ok=True)
    install.python_peers()
    install.go_peers()


def _measure(name: str, file: Path, rounds: int | None, seconds: int | None) -> None:
    section = SECTIONS[name]
    rounds, seconds = rounds or section.rounds, seconds or section.seconds
    sys.stderr.write(f"{name}: {section.what} ...\n")
    began, busy = time.monotonic(), _busy_seconds()
    figures = section.measure(rounds, seconds)
    took = time.monotonic() - began
    machine = {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "seconds": round(took),
        "busy_share": round((_busy_seconds() - busy) / took / (os.cpu_count() or 1), 2),
    }
    result = {
        "what": section.what,
        "rounds": rounds,
        "seconds": seconds,
        "machine": machine,
        "figures": figures,
    }
    file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def _busy_seconds() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    idle = int(fields[3]) + int(fields[4])
    return (sum(map(int, fields[:8])) - idle) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
