"""The figures as tables, and what of them was promised."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.speed.receivers import (
    BARE,
    BY_JSON_EXPORTER,
    BY_OTELCOL,
    BY_TELEGRAF,
    DISK,
    FASTAPI,
    MEMORY,
    STARLETTE,
)

RESULTS = Path(__file__).with_name("results")

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """A ratio of medians of one run; ``is_most`` where less is better, no ``must`` but a goal."""

    what: str
    must: float | None
    goal: float
    figure: Callable[[Results], float]
    is_most: bool = False

    def row(self, results: Results) -> str:
        """Its line; without a figure where it was not measured."""
        bounds = f"{self._bound(self.must)} | {self._bound(self.goal)}"
        try:
            value = round(self.figure(results), 3)  # as shown: none is met that does not look so
        except KeyError:
            return f"| {self.what} | {bounds} | not measured |"
        return f"| {self.what} | {bounds} | {value:.3f}{self._verdict(value)} |"

    def _verdict(self, value: float) -> str:
        if self._meets(value, self.goal):
            return ", goal met"
        return "" if self.must is None or self._meets(value, self.must) else " **missed**"

    def _meets(self, value: float, bound: float) -> bool:
        return value <= bound if self.is_most else value >= bound

    def _bound(self, bound: float | None) -> str:
        return "" if bound is None else f"{'≤' if self.is_most else '≥'} {bound:g}"


def _hot(one: str, other: str) -> Callable[[Results], float]:
    def ratio(results: Results) -> float:
        hot = results["hot"]["figures"]
        return float(hot[one]["events_per_second"][0] / hot[other]["events_per_second"][0])

    return ratio


def _p99(results: Results) -> float:
    figures = results["latency"]["figures"]
    watched, alone = figures["scraped every second"], figures["unscraped"]
    return float(watched["p99_ms"][0] / alone["p99_ms"][0])


def _scrape(results: Results) -> float:
    return float(results["scrape"]["figures"]["10 applications"]["gzip_ms"][0])


def _growth(results: Results) -> float:
    figures = results["growth"]["figures"]
    grown, empty = figures["10,000,000 rows"], figures["0 rows"]
    return float(grown["events_per_second"][0] / empty["events_per_second"][0])


TARGETS = (
    Target("ledger on disk ÷ bare uvicorn", 0.42, 0.50, _hot(DISK, BARE)),
    Target("ledger in memory ÷ bare uvicorn", 0.65, 0.75, _hot(MEMORY, BARE)),
    Target("ledger on disk ÷ Starlette by hand", 1.5, 1.8, _hot(DISK, STARLETTE)),
    Target("ledger on disk ÷ FastAPI by hand", 3.2, 3.8, _hot(DISK, FASTAPI)),
    Target("ledger on disk ÷ json_exporter", 1.1, 1.3, _hot(DISK, BY_JSON_EXPORTER)),
    Target("ledger on disk ÷ OpenTelemetry Collector", None, 1, _hot(DISK, BY_OTELCOL)),
    Target("ledger on disk ÷ Telegraf", 0.95, 1.1, _hot(DISK, BY_TELEGRAF)),
    Target("p99 at 1,000 events/s, scraped ÷ not", 3, 1.5, _p99, is_most=True),
    Target("ms for a scrape, 10 applications", 15, 5, _scrape, is_most=True),
    Target("events/s at 10 million rows ÷ empty", 0.9, 1, _growth),
)


def measured(directory: Path) -> Results:
    """Read what was measured so far, by section."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(directory.glob("*.json"))}


def report(results: Results) -> str:
    """Return the promises, then every section measured so far, in Markdown."""
    parts = ["# Speed", targets(results)]
    parts += [_section(name, result) for name, result in results.items()]
    return "\n\n".join(parts)


def targets(results: Results) -> str:
    """Return the promises, and the figures measured of them."""
    rows = (target.row(results) for target in TARGETS)
    return "\n".join(("| medians of one run | must | goal | measured |", "|" + " --- |" * 4, *rows))


def _section(name: str, result: Mapping[str, Any]) -> str:
    figures = result["figures"]
    length = f" of {result['seconds']} s" if result["seconds"] else ""
    columns = list(dict.fromkeys(column for values in figures.values() for column in values))
    lines = [
        f"## {name}: {result['what']}",
        "",
        f"{result['rounds']} rounds{length}; median (least to most).",
        "",
        "| | " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "| --- " * (len(columns) + 1) + "|",
    ]
    for row, values in figures.items():
        cells = " | ".join(_cell(values.get(column)) for column in columns)
        lines.append(f"| {row} | {cells} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, list):
        return f"{value:,}"
    median, least, most = (_number(one) for one in value)
    return f"{median} ({least} to {most})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"  # three figures
