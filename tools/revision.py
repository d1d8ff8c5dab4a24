"""Build hook: what is built knows the commit that it was built from."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILE = "REVISION"
VARIABLE = "REVISION"  # where there is no repository, as in an image's build
_PLACES = {"wheel": f"bandwidth_voice_exporter/{FILE}", "sdist": FILE}


class Revision(BuildHookInterface[Any]):
    """Puts a file with the commit into the wheel and the sdist."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file; an editable installation follows its checkout instead."""
        found = revision(Path(self.root), os.environ)
        if version == "editable" or not found:
            return
        self._directory = tempfile.TemporaryDirectory()
        file = Path(self._directory.name) / FILE
        file.write_text(f"{found}\n", encoding="utf-8")
        build_data["force_include"][str(file)] = _PLACES[self.target_name]


def revision(root: Path, environ: Mapping[str, str]) -> str:
    """Return the commit, from the environment, an sdist's file or the repository; empty if none."""
    if given := environ.get(VARIABLE):
        return given
    if (file := root / FILE).is_file():
        return file.read_text("utf-8").strip()
    if not (root / ".git").exists():
        return ""  # a repository further up would be another one
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607  # whichever there is
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
