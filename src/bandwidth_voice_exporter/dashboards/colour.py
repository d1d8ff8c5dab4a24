"""One colour for each cause, fault domain and direction, the same on every dashboard."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bandwidth_voice_exporter.voice import CAUSES, DIRECTIONS, FAULT_DOMAINS, UNCLASSIFIED

Json = dict[str, Any]

GREEN = "#73BF69"
ORANGE = "#FF9830"
RED = "#F2495C"
BLUE = "#5794F2"
PURPLE = "#B877D9"
GREY = "#8E8E8E"

_OF_DOMAIN = {
    "none": GREEN,
    "user": BLUE,
    "application": ORANGE,
    "account": PURPLE,
    "bandwidth": RED,
    UNCLASSIFIED: GREY,
}
# A cause is of its fault domain's hue.
_OF_CAUSE = {
    "hangup": GREEN,
    "busy": "#3D71D9",
    "timeout": "#6EA6FF",
    "cancel": "#C0D8FF",
    "rejected": "#33B5E5",
    "callback-error": ORANGE,
    "invalid-bxml": "#FADE2A",
    "application-error": "#D9742B",
    "account-limit": PURPLE,
    "node-capacity-exceeded": "#D0021B",
    "error": RED,
    "unknown": "#FFA6B0",
}
_OF_DIRECTION = {"inbound": "#00A3A3", "outbound": "#C29B00"}

# By subscript, so that a cause or fault domain without a colour is an error here.
DOMAINS: Mapping[str, str] = {domain: _OF_DOMAIN[domain] for domain in FAULT_DOMAINS}
KNOWN_CAUSES: Mapping[str, str] = {cause: _OF_CAUSE[cause] for cause in CAUSES}
WAYS: Mapping[str, str] = {direction: _OF_DIRECTION[direction] for direction in DIRECTIONS}
QUANTILES: Mapping[str, str] = {"p50": GREEN, "p95": ORANGE, "p99": RED}
SEVERITIES: Mapping[str, str] = {"critical": RED, "warning": ORANGE, "info": BLUE}


def fixed(colour: str) -> Json:
    """Return the property that gives a field a colour."""
    return {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}


def overrides(colours: Mapping[str, str]) -> Sequence[Json]:
    """Return the overrides for series named `NAME` or `NAME, more about it`."""
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/^{re.escape(name)}(,.*)?$/"},
            "properties": [fixed(colour)],
        }
        for name, colour in colours.items()
    ]


def mappings(colours: Mapping[str, str]) -> Sequence[Json]:
    """Return the value mappings that give the words in a table's column their colours."""
    return [
        {
            "type": "value",
            "options": {
                name: {"color": colour, "index": index}
                for index, (name, colour) in enumerate(colours.items())
            },
        }
    ]
