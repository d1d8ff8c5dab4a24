"""Panels of Grafana's classic JSON, each with all that a reader needs to judge it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bandwidth_voice_exporter.dashboards.colour import GREY, Json, fixed, overrides

# The Grafana that the fields below are for: panels older than 7.0 would be migrated.
MADE_FOR = "11.0.0"
DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}

_PLAIN = "text"  # Grafana's name for the colour of text


@dataclass(frozen=True)
class Target:
    """A query and how its series are named."""

    expr: str
    legend: str = "__auto"
    exemplar: bool = False


@dataclass(frozen=True)
class About:
    """A panel's title, what it shows, and what to do when that is bad."""

    title: str
    shows: str
    bad: str
    empty: str  # the text if there is nothing to show

    @property
    def description(self) -> str:
        """Both texts as the panel's help has them."""
        return f"{self.shows}\n\n**When it is bad:** {self.bad}"


@dataclass(frozen=True)
class Look:
    """How the values are shown; ``steps`` are (from this value on, colour)."""

    unit: str
    colours: Mapping[str, str] = field(default_factory=dict)
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    steps: Sequence[tuple[float, str]] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # value -> text, colour
    wide: bool = False  # there is room for a legend beside the graph


def stat(about: About, look: Look, *targets: Target, names: bool = True) -> Json:
    """Return a panel of single numbers, with the names of their series or without."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "text": {"titleSize": 12, "valueSize": 22},
        "textMode": "value_and_name" if names else "value",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
    }
    return _panel("stat", about, look, queries(targets, instant=True), options)


def lines(
    about: About,
    look: Look,
    *targets: Target,
    dashed: str = "",
    every: str = "1m",
) -> Json:
    """Return a graph of lines; the targets named in ``dashed`` (`BC`) are what to compare with."""
    panel = _graph(about, look, targets, {"drawStyle": "line", "fillOpacity": 5}, every)
    panel["fieldConfig"]["overrides"] += [_dashed(ref) for ref in dashed]
    return panel


def bars(
    about: About,
    look: Look,
    *targets: Target,
    stacking: str = "normal",
    dashed: str = "",
    every: str = "1m",
) -> Json:
    """Return a graph of stacked bars, ``normal`` or as 100 ``percent``; `dashed` ones are lines."""
    custom = {
        "drawStyle": "bars",
        "fillOpacity": 80,
        "lineWidth": 0,
        "stacking": {"mode": stacking, "group": "A"},
    }
    panel = _graph(about, look, targets, custom, every)
    panel["fieldConfig"]["overrides"] += [_dashed(ref) for ref in dashed]
    return panel


def heatmap(about: About, look: Look, target: Target, every: str = "1m") -> Json:
    """Return a picture of how a histogram's buckets fill over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short", "decimals": 0},
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-blue",
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": look.unit},
    }
    found = queries((target,), instant=False)
    found[0]["format"] = "heatmap"
    return {**_panel("heatmap", about, look, found, options), "interval": every}


def queries(targets: Sequence[Target], *, instant: bool) -> list[Json]:
    """Return the targets as a panel has them, with the letters from A on as names."""
    return [
        {
            "datasource": dict(DATASOURCE),
            "editorMode": "code",
            "exemplar": target.exemplar,
            "expr": target.expr,
            "instant": instant,
            "legendFormat": target.legend,
            "range": not instant,
            "refId": chr(ord("A") + index),
        }
        for index, target in enumerate(targets)
    ]


def _graph(about: About, look: Look, targets: Sequence[Target], custom: Json, every: str) -> Json:
    # Beside the graph where there is room; below it a table would show three lines at most.
    legend = {
        "displayMode": "table" if look.wide else "list",
        "placement": "right" if look.wide else "bottom",
        "showLegend": True,
        "calcs": ["lastNotNull", "max"] if look.wide else ["lastNotNull"],
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    panel = _panel("timeseries", about, look, queries(targets, instant=False), options)
    panel["fieldConfig"]["defaults"]["custom"] = {
        "lineWidth": 1,
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "axisSoftMin": 0,
        **custom,
    }
    return {**panel, "interval": every}


def _dashed(ref: str) -> Json:
    return {
        "matcher": {"id": "byFrameRefID", "options": ref},
        "properties": [
            {"id": "custom.drawStyle", "value": "line"},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
            {"id": "custom.lineWidth", "value": 1},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.showPoints", "value": "never"},
            {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}},
        ],
    }


def _panel(kind: str, about: About, look: Look, targets: list[Json], options: Json) -> Json:
    defaults: Json = {
        "unit": look.unit,
        "noValue": about.empty,
        "color": fixed(GREY)["value"],
        "mappings": [
            {"type": "value", "options": {value: {"text": text, "color": colour, "index": index}}}
            for index, (value, (text, colour)) in enumerate(look.words.items())
        ],
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": _PLAIN, "value": None}]
            + [{"color": colour, "value": value} for value, colour in look.steps],
        },
    }
    if look.steps:
        defaults["color"] = {"mode": "thresholds"}
    for name, value in (("decimals", look.decimals), ("min", look.least), ("max", look.most)):
        if value is not None:
            defaults[name] = value
    return {
        "type": kind,
        "title": about.title,
        "description": about.description,
        "datasource": dict(DATASOURCE),
        "pluginVersion": MADE_FOR,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides(look.colours))},
        "options": options,
    }
