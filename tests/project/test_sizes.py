"""Functions and modules of the package stay small enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "bandwidth_voice_exporter"
MODULE_LINES = 250
FUNCTION_LINES = 40

# Modules that may be longer, each with its reason.
MODULES = {
    "metrics/catalog.py": "a table: every metric there is",
    "settings/options.py": "a table: everything that can be set",
    "settings/resolve.py": "a third of it is a table, the fields of Settings",
    "http/connection.py": "one connection, whose callbacks share its state",
    "http/wire.py": "one parser, whose callbacks share their state",
}

# Rooms of tables: alerts or panels, one after the other, each with its words.
TABLES = {"alerts": (300, 85), "dashboards": (300, 45)}  # lines of a module, of a function

FILES = {str(file.relative_to(ROOT)): file for file in sorted(ROOT.rglob("*.py"))}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file, with how many lines it has."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield node.name, node.end_lineno - node.lineno + 1


def limits(name: str) -> tuple[int, int]:
    """How many lines a module, and how many a function of it, may have."""
    return TABLES.get(name.partition("/")[0], (MODULE_LINES, FUNCTION_LINES))


@pytest.mark.parametrize("name", FILES)
def test_modules_are_short(name: str) -> None:
    """A module has 250 lines at most, or a reason; one that got shorter needs none."""
    most, _ = limits(name)
    is_long = len(FILES[name].read_text("utf-8").splitlines()) > most
    assert is_long == (name in MODULES)


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    """A function has 40 lines at most, but in a room of tables."""
    _, most = limits(name)
    long = [function for function, lines in functions(FILES[name]) if lines > most]
    assert long == []


def test_no_reason_is_without_its_module() -> None:
    """A reason goes with the file that it is about."""
    assert MODULES.keys() <= FILES.keys()
