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
    LEAN,
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


def _median(section: str, row: str, figure: str) -> Callable[[Results], float]:
    return lambda results: float(results[section]["figures"][row][figure][0])


def _ratio(
    one: Callable[[Results], float], other: Callable[[Results], float]
) -> Callable[[Results], float]:
    return lambda results: one(results) / other(results)


def _hot(one: str, other: str) -> Callable[[Results], float]:
    figure = "events_per_second"
    return _ratio(_median("hot", one, figure), _median("hot", other, figure))


def _grown(figure: str, rows: str) -> Callable[[Results], float]:
    return _median("growth", f"{rows} rows", figure)


_MANY, _TEN_MILLION = "1,000,000", "10,000,000"

TARGETS = (
    Target("ledger on disk ÷ bare uvicorn", 0.42, 0.50, _hot(DISK, BARE)),
    Target("ledger in memory ÷ bare uvicorn", 0.65, 0.75, _hot(MEMORY, BARE)),
    Target("ledger on disk ÷ Starlette by hand", 1.5, 1.8, _hot(DISK, STARLETTE)),
    Target("ledger on disk ÷ the least by hand", 1.0, 1.2, _hot(DISK, LEAN)),
    Target("ledger on disk ÷ FastAPI by hand", 3.2, 3.8, _hot(DISK, FASTAPI)),
    Target("ledger on disk ÷ json_exporter", 1.1, 1.3, _hot(DISK, BY_JSON_EXPORTER)),
    Target("ledger on disk ÷ OpenTelemetry Collector", None, 1, _hot(DISK, BY_OTELCOL)),
    Target("ledger on disk ÷ Telegraf", 0.95, 1.1, _hot(DISK, BY_TELEGRAF)),
    Target(
        "p99 at 1,000 events/s, scraped ÷ not",
        3,
        1.5,
        _ratio(
            _median("latency", "scraped every second", "p99_ms"),
            _median("latency", "unscraped", "p99_ms"),
        ),
        is_most=True,
    ),
    Target(
        "ms for a scrape, 10 applications",
        15,
        5,
        _median("scrape", "10 applications", "gzip_ms"),
        is_most=True,
    ),
    Target(
        "events/s at 10 million rows ÷ empty",
        0.9,
        1,
        _ratio(_grown("events_per_second", _TEN_MILLION), _grown("events_per_second", "0")),
    ),
    Target(
        "µs to look up a call id at 10 million rows",
        200,
        200,
        _grown("lookup_us", _TEN_MILLION),
        is_most=True,
    ),
    *(
        Target(f"{what}, {rows} rows", must, must, _grown(figure, rows), is_most=True)
        for what, figure, one, many in (
            ("seconds until ready", "ready_seconds", 1.5, 2),
            ("MB resident after a start", "resident_at_start_mb", 120, 220),
            ("MB resident under load", "resident_mb", 120, 220),
        )
        for rows, must in ((_MANY, one), (_TEN_MILLION, many))
    ),
    Target(
        "ms of the loop's longest pause beyond an idle process's",
        20,
        20,
        _median("pause", "beyond", "longest_pause_ms"),
        is_most=True,
    ),
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
