"""The tables of README and docs/ agree with the code, in both directions."""

import re
import subprocess
from pathlib import Path

import pytest

from bandwidth_voice_exporter.metrics.catalog import METRICS
from bandwidth_voice_exporter.settings.options import OPTIONS
from testkit.exporter import MODULE

_ROOT = Path(__file__).parents[2]
TEXT = "\n".join(
    path.read_text() for path in (_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md")))
)
METRIC_HEAD = ["metric", "kind", "labels", "what"]
FLAG_HEAD = ["flag", "environment variable", "default", "what"]
NO_VALUE = {"", "-", "none"}


def rows(start: str) -> list[list[str]]:
    """The cells of every table row that begins so; a | in a cell is written as \\|."""
    lines = [line for line in TEXT.splitlines() if line.startswith(start)]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines
    ]


def code(cell: str) -> str:
    """A cell without its backticks."""
    return cell.replace("`", "")


def heads() -> list[list[str]]:
    """The first rows of all tables."""
    found = re.findall(r"^\|(.*)\|\n\|[-:| ]+\|$", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in head.split("|")] for head in found]


def test_the_tables_have_their_columns() -> None:
    """There is one table of metrics or more and one of flags or more, and every row is whole."""
    assert METRIC_HEAD in heads()
    assert FLAG_HEAD in heads()
    for row in rows("| `bandwidth_voice_") + rows("| `--"):
        assert len(row) == 4, row
        assert row[3], f"nothing is said about {row[0]}"


def test_the_metric_table_is_the_catalog() -> None:
    """Name, kind and labels of every metric stand in the documents, and no others."""
    written = [
        (code(name), code(kind), tuple(filter(None, code(labels).split(", "))))
        for name, kind, labels, *_ in rows("| `bandwidth_voice_")
    ]
    assert sorted(written) == sorted(
        (metric.name, metric.kind, metric.labels) for metric in METRICS
    )


def test_the_flag_table_has_every_option() -> None:
    """Flag, environment variable and default of every option stand in the documents."""
    written = {
        code(flag).split()[0].removeprefix("--"): (code(variable), code(default))
        for flag, variable, default, *_ in rows("| `--")
    }
    assert len(written) == len(rows("| `--")), "a flag is there twice"
    for option in OPTIONS:
        assert option.flag in written, f"--{option.flag} is in no document"
        variable, default = written[option.flag]
        assert variable == option.variable
        if option.default:
            assert default == option.default, option.flag
        elif option.flag == "webhook.listen-address":
            assert re.findall(r"[a-z]*:\d+", default) == ["localhost:10061", ":10061"]
        else:
            assert default in NO_VALUE, option.flag


@pytest.mark.program
def test_the_flag_table_has_no_flag_of_its_own() -> None:
    """Every flag of the documents is one that the program's --help tells of."""
    run = subprocess.run([*MODULE, "--help"], capture_output=True, text=True, check=True)
    offered = set(re.findall(r"^  (?:-\w, )?(--[\w.-]+)", run.stdout, re.MULTILINE))
    assert {f"--{option.flag}" for option in OPTIONS} <= offered
    written = {code(flag).split()[0] for flag, *_ in rows("| `--")}
    assert written
    assert written <= offered


def test_environment_variables_are_those_of_flags() -> None:
    """Every environment variable that a document names is a flag's twin, anywhere in its text.

    But for the one that Grafana's provisioning reads.
    """
    prefix = "BANDWIDTH_VOICE_EXPORTER_"
    named = set(re.findall(rf"\b{prefix}[A-Z_]*[A-Z]\b", TEXT))
    assert named
    others = {f"{prefix}CONFIG_FILE", f"{prefix}URL"}
    assert named <= {option.variable for option in OPTIONS} | others
