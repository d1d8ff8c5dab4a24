"""SECURITY.md's list of what is bounded, and what is borrowed from uvicorn."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTTP = ROOT / "src/bandwidth_voice_exporter/http"
BOUNDS = re.findall(
    r"`(tests/\S+\.py)::(\w+)` \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE
)


def test_there_are_bounds() -> None:
    """The list of bounds is found."""
    assert len(BOUNDS) > 10


@pytest.mark.parametrize(("file", "test"), BOUNDS)
def test_a_bound_has_its_test(file: str, test: str) -> None:
    """Each line's test exists."""
    tree = ast.parse((ROOT / file).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_is_borrowed_is_in_one_place() -> None:
    """Nothing but http/borrowed.py imports uvicorn."""
    package = HTTP.parent
    importing = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"^\s*(?:from|import) uvicorn", file.read_text(), re.MULTILINE)
    }
    assert importing == {"http/borrowed.py"}
