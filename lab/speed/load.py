"""As many events as a receiver answers, by wrk on the core beside it; whether it counted all."""

import json
import resource
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.speed.events import AUTHORIZATION
from lab.speed.receivers import LOAD_CORE, Running

_SCRIPT = Path(__file__).with_name("events.lua")
_SETTLE_SECONDS = 15.0  # within which what was in flight at the end is counted


@dataclass(frozen=True)
class Run:
    """The figures of one run; ``processor_us`` is the receiver's processor time for an event.

    ``disk_bytes`` is what it made the disk write for one.

    ``load_busy`` is the share of its core that wrk used: near 1, the figure is wrk's limit.
    """

    events_per_second: float
    processor_us: float
    disk_bytes: float
    p50_ms: float
    p99_ms: float
    load_busy: float


class CountError(AssertionError):
    """A receiver that did not count what it answered."""


def run(  # noqa: PLR0913  # what is sent and how, each by name
    receiver: Running,
    bodies: Path,
    *,
    connections: int,
    seconds: int,
    is_fresh: bool = False,
    are_new: bool = True,
) -> Run:
    """Send events for so long. Raises CountError, or AssertionError where requests failed."""
    before = receiver.counted() if receiver.metrics else 0
    used, sent, written = receiver.processor_seconds(), _children(), receiver.written_bytes()
    began = time.monotonic()
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["--timeout", "10s", "-s", str(_SCRIPT), receiver.url, "--", str(bodies)]
    command += [AUTHORIZATION, "close" if is_fresh else "keep"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = time.monotonic() - began
    result = json.loads(output.splitlines()[-1])
    used, sent = receiver.processor_seconds() - used, _children() - sent
    written = receiver.written_bytes() - written
    assert result["failed"] == 0, output
    if receiver.metrics:
        check(receiver, before, result["answered"] if are_new else 0, connections)
    return Run(
        events_per_second=result["answered"] / result["seconds"],
        processor_us=used / result["answered"] * 1e6,
        disk_bytes=written / result["answered"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        load_busy=sent / took,
    )


def check(receiver: Running, before: int, answered: int, in_flight: int) -> None:
    """Compare what /metrics gained with what was answered: all of it, and what wrk cut off."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    gained = -1
    while time.monotonic() < deadline:
        last, gained = gained, receiver.counted() - before
        if gained == last and answered <= gained <= answered + in_flight:
            return
        time.sleep(0.3)
    raise CountError(f"{answered} answered, {gained} counted, at most {in_flight} in flight")


def summary(runs: Iterable[Run]) -> dict[str, list[float]]:
    """Median, least and most of each figure."""
    figures = [asdict(run) for run in runs]
    return {name: spread([figure[name] for figure in figures]) for name in figures[0]}


def spread(values: Sequence[float]) -> list[float]:
    """Median, least and most."""
    return [statistics.median(values), min(values), max(values)]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
