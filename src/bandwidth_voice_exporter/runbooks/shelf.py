"""The files of the runbooks: as they are written, and as `make rules` renders them."""

from collections.abc import Mapping
from importlib import resources
from pathlib import PurePath


def texts() -> Mapping[str, str]:
    """Return the Markdown of each runbook by the name of its file."""
    return {f"{name}.md": text for name, text in _of(".md").items()}


def html() -> Mapping[str, str]:
    """Return each runbook's HTML by its alert's name."""
    return _of(".html")


def _of(suffix: str) -> dict[str, str]:
    return {
        PurePath(file.name).stem: file.read_text("utf-8")
        for file in sorted(resources.files(__package__).iterdir(), key=lambda file: file.name)
        if PurePath(file.name).suffix == suffix
    }
