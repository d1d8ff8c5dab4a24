"""The dashboards as files."""

import json

from bandwidth_voice_exporter.dashboards import exporter, failures, outcomes
from bandwidth_voice_exporter.dashboards.colour import Json


def dashboards() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    built = (outcomes.dashboard(), failures.dashboard(), exporter.dashboard())
    return {f"{dashboard['uid']}.json": _text(dashboard) for dashboard in built}


def _text(dashboard: Json) -> str:
    return json.dumps(dashboard, indent=2) + "\n"
