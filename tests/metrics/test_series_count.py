"""How many series there are, as docs/metrics.md says it."""

import re
from itertools import product
from pathlib import Path

import pytest

from bandwidth_voice_exporter.voice import CAUSES, DIRECTIONS
from testkit.exporter import StartExporter

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
TABLE = re.compile(r"^\| applications \| series \|\n\|[-:| ]+\|\n((?:\|.*\|\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| *([\d,]+) *\| *([\d,]+) *\|$", re.MULTILINE)
APPLICATIONS = (0, 1, 10, 50)


def promised() -> dict[int, int]:
    """Series by applications, from the document's table."""
    table = TABLE.search(DOCUMENT.read_text())
    assert table, "docs/metrics.md has no table with the columns: applications, series"
    rows = ROW.findall(table[1])
    return {int(row[0].replace(",", "")): int(row[1].replace(",", "")) for row in rows}


def test_the_document_has_the_sizes() -> None:
    """The document's table is about none, 1, 10 and 50 applications."""
    assert tuple(promised()) == APPLICATIONS


@pytest.mark.parametrize("applications", APPLICATIONS)
def test_the_series_count_is_what_the_readme_says(
    exporter: StartExporter, applications: int
) -> None:
    """A newly started exporter with so many named applications has exactly so many series."""
    names = (
        f"{number:08x}-7d42-4f8b-9c61-0e8f7b2d4a95=app{number}" for number in range(applications)
    )
    running = exporter(*(f"--labels.application={name}" for name in names))
    series = len(running.metrics(scrape=True))
    assert series == promised()[applications]


def test_every_documented_cause_is_there_at_0(exporter: StartExporter) -> None:
    """At the first scrape, without a configured application, no cause waits for its first call."""
    running = exporter()
    calls = {
        (labels["cause"], labels["direction"], labels["answered"]): value
        for (name, pairs), value in running.metrics(scrape=True).items()
        for labels in (dict(pairs),)
        if name == "bandwidth_voice_calls_total"
    }
    assert calls == dict.fromkeys(product(CAUSES, DIRECTIONS, ("true", "false")), 0)
