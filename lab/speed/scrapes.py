"""The cost of a scrape, by the number of applications, to itself and to events."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.speed import events, load, receivers
from lab.speed.receivers import DISK, LOAD_CORE, Running
from lab.speed.scraper import scrape

APPLICATIONS = (1, 10, 50)
_SCRAPES = 30
_FIGURES = ("events_per_second", "processor_us", "p99_ms")
_RATE = 1000


def scraped(rounds: int, seconds: int) -> dict[str, Any]:
    """A scrape's time while nothing comes, and events a second while one comes each second."""
    figures = {}
    for applications in APPLICATIONS:
        took: dict[str, list[float]] = {"gzip_ms": [], "plain_ms": [], "processor_ms": []}
        free: list[load.Run] = []
        watched: list[load.Run] = []
        for _ in range(rounds):
            with _exporter(applications) as (running, bodies):
                load.run(running, bodies, connections=64, seconds=2)
                sizes = _idle(running, took)
                free.append(load.run(running, bodies, connections=64, seconds=seconds))
                with _scraping(running, seconds):
                    watched.append(load.run(running, bodies, connections=64, seconds=seconds))
        figures[f"{applications} applications"] = {
            **{name: load.spread(values) for name, values in took.items()},
            **sizes,
            **{name: load.summary(free)[name] for name in _FIGURES},
            **{f"{name}_scraped": load.summary(watched)[name] for name in _FIGURES},
        }
    return figures


def latency(rounds: int, seconds: int) -> dict[str, Any]:
    """Latency of a thousand events a second on time, with ten applications, scraped and not."""
    alone: list[dict[str, float]] = []
    watched: list[dict[str, float]] = []
    for _ in range(rounds):
        with _exporter(10) as (running, bodies):
            sent(running, bodies, 3)
            alone.append(sent(running, bodies, seconds))
            watched.append(sent(running, bodies, seconds, is_scraped=True))
    return {
        name: {figure: load.spread([one[figure] for one in runs]) for figure in runs[0]}
        for name, runs in (("unscraped", alone), ("scraped every second", watched))
    }


def _idle(running: Running, took: dict[str, list[float]]) -> dict[str, int]:
    scrape(running.metrics or "")  # the first one makes every line
    sizes = {}
    for is_compressed, name in ((True, "gzip"), (False, "plain")):
        used = running.processor_seconds()
        for _ in range(_SCRAPES):
            seconds, size, text = scrape(running.metrics or "", is_compressed=is_compressed)
            took[f"{name}_ms"].append(seconds * 1000)
        used = running.processor_seconds() - used
        if is_compressed:
            took["processor_ms"].append(used / _SCRAPES * 1000)
        sizes[f"{name}_bytes"] = size
        sizes["samples"] = sum(not line.startswith(b"#") for line in text.splitlines())
    return sizes


@contextmanager
def _exporter(applications: int) -> Iterator[tuple[Running, Path]]:
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        bodies = Path(temporary) / "bodies"
        events.write(bodies, applications)
        names = [
            f"--labels.application={events.application(number)}=application {number}"
            for number in range(applications)
        ]
        with receivers.started(DISK, Path(temporary), args=names) as running:
            yield running, bodies


@contextmanager
def _scraping(running: Running, times: int) -> Iterator[None]:
    command = ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "lab.speed.scraper"]
    process = subprocess.Popen(
        [*command, running.metrics or "", str(times)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield
        output, _ = process.communicate(timeout=60)
        assert len(json.loads(output)) == times
    finally:
        process.kill()


def sent(
    running: Running, bodies: Path, seconds: int, *, is_scraped: bool = False
) -> dict[str, float]:
    """Send a thousand events a second. Raises AssertionError where one failed or was not counted.

    Returns percentiles in milliseconds, from when an event was due, the numbers sent,
    answered and failed, and the receiver's processor time for one event in microseconds.
    """
    before, used = running.counted(), running.processor_seconds()
    command = ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "lab.speed.sender"]
    command += [running.address, str(bodies), f"--rate={_RATE}", f"--seconds={seconds}"]
    if is_scraped:
        command.append(f"--scrape={running.metrics}")
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=3 * seconds + 60
    ).stdout
    result: dict[str, float] = json.loads(output)
    used = running.processor_seconds() - used  # of scrapes too, where there are some
    assert result["failed"] == 0, result
    assert result["answered"] == result["sent"], result
    assert not is_scraped or result["scrapes"] >= seconds - 1, result
    load.check(running, before, int(result["answered"]), 0)
    return {**result, "processor_us": used / result["answered"] * 1e6}
