"""This checkout's costs beside another one's, pair by pair in turn.

`python -m lab compare OTHER` starts the exporter of both checkouts by turns, under the same load on
the same core, and tells the median of the ratios (this ÷ other) with a 95 % interval of it: of
processor time an event, of bytes written to the disk for one, of a scrape's processor time, and,
at a thousand events a second, of latency. The machine's other work falls on both of a pair.
"""

import argparse
import os
import statistics
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import floor, sqrt
from pathlib import Path

from lab.speed import events, load, receivers, scrapes
from lab.speed.receivers import DISK, MEMORY, Running

_HERE = Path(__file__).resolve().parents[1]
_WARM_UP_SECONDS = 1
_APPLICATIONS = 10
_SCRAPES = 1000

Figures = dict[str, float]
Measure = Callable[[Path, Path], Figures]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median, by order statistics."""
    ordered = sorted(values)
    reach = 1.96 * sqrt(len(ordered)) / 2
    low = max(0, floor(len(ordered) / 2 - reach))
    return ordered[low], ordered[len(ordered) - 1 - low]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout, of a git worktree for example")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=3, help="of load in each of a pair")
    measures: dict[str, Measure] = {
        "memory": lambda tree, folder: _event(MEMORY, tree, folder, options.seconds),
        "disk": lambda tree, folder: _event(DISK, tree, folder, options.seconds),
        "steady": lambda tree, folder: _steady(tree, folder, options.seconds),
        "scrape": _scrape,
    }
    parser.add_argument("--only", choices=measures)
    options = parser.parse_args()
    print("| | this | other | this ÷ other | 95 % interval | pairs |\n| --- |" + " --- |" * 5)
    for name in [options.only] if options.only else measures:
        pairs = [
            _pair(measures[name], options.other.resolve(), turn) for turn in range(options.pairs)
        ]
        for figure in pairs[0][0]:
            _tell(f"{name}, {figure}", [(mine[figure], theirs[figure]) for mine, theirs in pairs])


def _tell(what: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [mine / theirs for mine, theirs in pairs]
    low, high = interval(ratios)
    mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(
        f"| {what} | {mine:.1f} | {theirs:.1f} | "
        f"{statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} | {len(pairs)} |",
        flush=True,
    )


def _pair(measure: Measure, other: Path, turn: int) -> tuple[Figures, Figures]:
    """Both, this one first in every other turn."""
    trees = (_HERE, other) if turn % 2 else (other, _HERE)
    found = {}
    for tree in trees:
        with tempfile.TemporaryDirectory(dir=_HERE / ".tools") as temporary, _source(tree):
            found[tree] = measure(tree, Path(temporary))
    return found[_HERE], found[other]


@contextmanager
def _source(tree: Path) -> Iterator[None]:
    """Let the exporters that are started meanwhile be those of a checkout."""
    os.environ["PYTHONPATH"] = str(tree / "src")
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]


def _event(name: str, tree: Path, folder: Path, seconds: int) -> Figures:
    bodies = folder / "bodies"
    events.write(bodies, applications=1)
    with receivers.started(name, folder) as running:
        _check(running, tree)
        load.run(running, bodies, connections=64, seconds=_WARM_UP_SECONDS)
        run = load.run(running, bodies, connections=64, seconds=seconds)
    figures = {"processor µs": run.processor_us}
    return figures | {"bytes written": run.disk_bytes} if name == DISK else figures


def _steady(tree: Path, folder: Path, seconds: int) -> Figures:
    bodies = folder / "bodies"
    events.write(bodies, applications=1)
    with receivers.started(DISK, folder) as running:
        _check(running, tree)
        scrapes.sent(running, bodies, _WARM_UP_SECONDS)
        written = running.written_bytes()
        sent = scrapes.sent(running, bodies, seconds)
        written = running.written_bytes() - written
    return {
        "p99 ms": sent["p99_ms"],
        "processor µs": sent["processor_us"],
        "bytes written": written / sent["answered"],
    }


def _scrape(tree: Path, folder: Path) -> Figures:
    bodies = folder / "bodies"
    events.write(bodies, applications=_APPLICATIONS)
    with receivers.started(MEMORY, folder) as running:
        _check(running, tree)
        load.run(running, bodies, connections=64, seconds=_WARM_UP_SECONDS)
        used = running.processor_seconds()
        for _ in range(_SCRAPES):
            with urllib.request.urlopen(f"http://{running.metrics}/metrics") as answer:
                answer.read()
        return {"processor µs": (running.processor_seconds() - used) / _SCRAPES * 1e6}


def _check(running: Running, tree: Path) -> None:
    """Make sure that what runs is the checkout that was asked for."""
    opened = Path(f"/proc/{running.pid}/environ").read_bytes()
    assert f"PYTHONPATH={tree / 'src'}".encode() in opened, tree


if __name__ == "__main__":
    main()
