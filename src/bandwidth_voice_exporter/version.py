"""The version that runs."""

import platform
import sys
from importlib import metadata
from pathlib import Path

import msgspec

_DISTRIBUTION = "bandwidth-voice-exporter"
_REVISION = Path(__file__).with_name("REVISION")  # written by the build


def version() -> str:
    """Return the version of the package that is installed."""
    return metadata.version(_DISTRIBUTION)


def revision() -> str:
    """Return the commit that was built, or that an installation from a repository records."""
    if _REVISION.is_file():
        return _REVISION.read_text(encoding="utf-8").strip()
    origin = metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")  # PEP 610
    if origin is None:
        return "unknown"
    commit = msgspec.json.decode(origin).get("vcs_info", {}).get("commit_id", "unknown")
    return str(commit)


def description() -> str:
    """Return what runs, on what and where, in the form in which exporters say it."""
    return (
        f"{_DISTRIBUTION}, version {version()} (revision: {revision()})\n"
        f"  python version:   {platform.python_version()}\n"
        f"  platform:         {sys.platform}/{platform.machine()}"
    )
