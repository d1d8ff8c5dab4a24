"""Write what results/ has of broken handlers into docs/forwarding.md."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

_RESULTS = Path(__file__).with_name("results")
_PAGE = Path(__file__).parents[2] / "docs" / "forwarding.md"
_BEGIN, _END = "<!-- faults -->\n", "<!-- end -->"
_COLUMNS = (
    "events, answers",
    "counted",
    "distinct events at the handler",
    "p99 at another path",
    "most resident memory added",
    "processor time",
)
_ONE_ANSWER = re.compile(r"\{'(\w+)': \d+\}")  # with its number once more
_HEAD = "| handler | answers | counted | at the handler | p99 elsewhere | memory | processor |"


def rows(report: Mapping[str, object]) -> list[str]:
    """A row of Markdown for each fault, from a report as it was written."""
    found: dict[str, dict[str, str]] = {}
    figures = report["rows"]
    assert isinstance(figures, list)
    for figure in figures:
        fault, _, what = figure["what"].partition(": ")
        missed = "" if figure["met"] else " **missed**"
        measured = _ONE_ANSWER.sub(r"\1", figure["measured"])
        found.setdefault(fault, {})[what] = f"{measured}{missed}"
    return [
        f"| {fault} | {' | '.join(told.get(column, '') for column in _COLUMNS)} |"
        for fault, told in found.items()
    ]


def text() -> str:
    """The tables, of each way that was measured."""
    lines = []
    for file in sorted(_RESULTS.glob("faults-*.json")):
        report = json.loads(file.read_text())
        lines += [f"*{report['title']}*", "", _HEAD, "| --- |" + " --- |" * len(_COLUMNS)]
        lines += [*rows(report), ""]
    return "\n".join(lines)


def main() -> None:
    """Put the tables where the page has its marks."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert end, f"{_PAGE} has no marks"
    _PAGE.write_text(f"{before}{_BEGIN}{text()}{_END}{after}")
    print(text())


if __name__ == "__main__":
    main()
