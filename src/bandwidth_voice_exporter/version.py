"""Which version runs."""

from importlib import metadata

import msgspec

_DISTRIBUTION = "bandwidth-voice-exporter"


def version() -> str:
    """Return the version of the package that is installed."""
    return metadata.version(_DISTRIBUTION)


def revision() -> str:
    """Return the commit that an installation from a repository records (PEP 610)."""
    origin = metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")
    if origin is None:
        return "unknown"
    commit = msgspec.json.decode(origin).get("vcs_info", {}).get("commit_id", "unknown")
    return str(commit)
