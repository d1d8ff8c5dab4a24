"""How long the exporter's event loop pauses under load, beside an idle process on the same core."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.speed import events, growth, load, receivers
from lab.speed.receivers import DISK, SERVER_CORE

_PROGRAM = "lab.speed.ticking"
_ROWS = 200_000  # more than fit in what the ledger may take: there is pruning from the start
_ARGUMENTS = ("--storage.max-bytes=48MiB",)


def paused(rounds: int, seconds: int) -> dict[str, Any]:
    """The longest of each round, commits, checkpoints, pruning and sealing included."""
    found: dict[str, list[float]] = {DISK: [], "idle process": [], "beyond": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=".tools") as temporary:
            busy, idle = _measured(Path(temporary), seconds)
        for name, value in zip(found, (busy, idle, busy - idle), strict=True):
            found[name].append(value)
    return {name: {"longest_pause_ms": load.spread(values)} for name, values in found.items()}


def _measured(place: Path, seconds: int) -> tuple[float, float]:
    growth.build(place / "ledger", _ROWS)
    bodies = place / "bodies"
    events.write(bodies, applications=1)
    busy, idle = place / "busy", place / "idle"
    program = (_PROGRAM, str(busy))
    with (
        _idling(idle),
        receivers.started(DISK, place, args=_ARGUMENTS, program=program) as running,
    ):
        load.run(running, bodies, connections=64, seconds=1)
        began = time.monotonic()
        load.run(running, bodies, connections=64, seconds=seconds)
        ended = time.monotonic()
        time.sleep(1.5)  # until the last line is written
        return _longest(busy, began, ended), _longest(idle, began, ended)


@contextmanager
def _idling(file: Path) -> Iterator[None]:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", _PROGRAM, str(file)]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _longest(file: Path, began: float, ended: float) -> float:
    lines = [line.split() for line in file.read_text().splitlines()]
    return max(float(late) for at, late in lines if began <= float(at) <= ended + 1)
