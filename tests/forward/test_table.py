"""The table of broken handlers in docs/forwarding.md, as the lab writes it."""

from pathlib import Path

from lab.forward import table


def test_a_row_for_each_handler() -> None:
    """Figures of one handler become one row, in the columns' order; a missed limit says so."""
    figures = [
        ("reset: p99 at another path", "120.0 ms", False),
        ("reset: counted", "1,000", True),
        ("500: counted", "999", False),
    ]
    report = {"rows": [{"what": what, "measured": it, "met": met} for what, it, met in figures]}
    assert table.rows(report) == [
        "| reset |  | 1,000 |  | 120.0 ms **missed** |  |  |",
        "| 500 |  | 999 **missed** |  |  |  |  |",
    ]


def test_the_page_has_its_place() -> None:
    """The page has the marks that the tables go between, once each and in order."""
    text = Path(__file__).parents[2].joinpath("docs", "forwarding.md").read_text()
    assert text.count("<!-- faults -->\n") == 1
    assert "<!-- end -->" in text.partition("<!-- faults -->\n")[2]
