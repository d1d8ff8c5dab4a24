"""The paths of programs that tests start and that are not this project's."""

import os
import shutil
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1] / ".tools"


def find(program: str) -> str | None:
    """Its path: on PATH, in /usr/sbin, or where `make test-deps` unpacked it."""
    unpacked = (str(folder) for folder in sorted(TOOLS.glob("*/usr/*bin")))
    versions = sorted(Path("/").glob("usr/lib/postgresql/*/bin")) + sorted(
        TOOLS.glob("*/usr/lib/postgresql/*/bin")
    )
    folders = (os.environ.get("PATH", os.defpath), "/usr/sbin", *unpacked, *map(str, versions))
    return shutil.which(program, path=os.pathsep.join(folders))


def path(program: str) -> str:
    """Its path; AssertionError if it is nowhere: mark the test with `needs`."""
    found = find(program)
    assert found is not None, missing(program)
    return found


def missing(*programs: str) -> str | None:
    """Why these cannot be started here; None if they can."""
    absent = [program for program in programs if find(program) is None]
    return f"{' and '.join(absent)} not found, see `make test-deps`" if absent else None
