"""The table of the exporter's speed, as the README shows it."""

from pathlib import Path

from benchmarks.speed.report import RESULTS, TARGETS, Target, measured, targets

_ROOT = Path(__file__).parents[1]


def test_readme_has_the_measured_ratios() -> None:
    """The README's table of speed is what the committed results give, and nothing is left out."""
    table = targets(measured(RESULTS))
    assert table in (_ROOT / "README.md").read_text("utf-8")
    assert "not measured" not in table
    assert len(table.splitlines()) == 2 + len(TARGETS)


def test_table_says_what_was_missed() -> None:
    """A ratio beyond its must is marked; one without a must is only said to meet its goal."""
    least = Target("a", 0.5, 0.8, lambda results: float(results["figure"]))
    most = Target("a", 3, 1.5, lambda results: float(results["figure"]), is_most=True)
    told = Target("a", None, 1, lambda results: float(results["figure"]))
    rows = [least.row({"figure": figure}) for figure in (0.4994, 0.5, 0.8)]
    rows += [most.row({"figure": figure}) for figure in (3.01, 3, 1.5)]
    rows += [told.row({"figure": figure}) for figure in (0.1, 1)]
    assert [row.rpartition(" | ")[2] for row in rows] == [
        *("0.499 **missed** |", "0.500 |", "0.800, goal met |"),
        *("3.010 **missed** |", "3.000 |", "1.500, goal met |"),
        *("0.100 |", "1.000, goal met |"),
    ]


def test_table_says_what_was_not_measured() -> None:
    """A ratio whose section is not there is not shown as anything else."""
    assert targets({}).count("| not measured |") == len(TARGETS)
