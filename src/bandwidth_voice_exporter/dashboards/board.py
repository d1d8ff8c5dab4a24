"""A dashboard around its panels: variables, links, annotations, places."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from bandwidth_voice_exporter.dashboards.colour import BLUE, RED, Json
from bandwidth_voice_exporter.dashboards.panel import DATASOURCE
from bandwidth_voice_exporter.dashboards.query import Scope, of_any, of_rules
from bandwidth_voice_exporter.metrics import catalog

# The last classic format that is migrated forward by every Grafana from 10 on.
SCHEMA = 39
COLUMNS = 24

_FEW = 2  # variables that a title can name as not applied

OUTCOMES = "bandwidth-voice-outcomes"
FAILURES = "bandwidth-voice-failures"
EXPORTER = "bandwidth-voice-exporter"
_TITLES = {
    OUTCOMES: "Bandwidth Voice: call outcomes",
    FAILURES: "Bandwidth Voice: failure drill-down",
    EXPORTER: "Bandwidth Voice: exporter health",
}
_QUESTIONS = {
    OUTCOMES: "Are calls ending as they should?",
    FAILURES: "Who or what is failing, since when? Show me a call.",
    EXPORTER: "Can I trust the other two?",
}
_LABELS = {
    "job": "Job",
    "instance": "Instance",
    "application": "Application",
    "direction": "Direction",
    "fault_domain": "Fault domain",
    "cause": "Cause",
}
_ALERT = "alertname, severity, fault_domain"
ALERTS_FIRING = of_rules("ALERTS", 'alertname=~"BandwidthVoice.+"', 'alertstate="firing"')

Row = tuple[int, Sequence[tuple[int, Json]]]  # height, and each panel with its width


@dataclass(frozen=True)
class Variable:
    """A choice of a label's values, those that a selector finds."""

    name: str
    selector: str


def variables(*, failures: bool) -> tuple[Variable, ...]:
    """Return the variables of calls beside job and instance, only of failures or of all calls."""
    failed = ('fault_domain!="none"',) if failures else ()
    chosen = Scope(("application", "direction"))
    found = (
        Variable("application", Scope().of(catalog.LAST_EVENT)),
        Variable("direction", Scope(("application",)).of(catalog.TALK)),
    )
    if not failures:
        return found
    by_domain = Scope((*chosen.variables, "fault_domain"))
    return (
        *found,
        Variable("fault_domain", chosen.of(catalog.CALLS, *failed)),
        Variable("cause", by_domain.of(catalog.CALLS, *failed)),
    )


def board(uid: str, rows: Sequence[Row], chosen: Sequence[Variable]) -> Json:
    """Return a whole dashboard; its panels are placed row under row and numbered."""
    names = ("job", "instance", *(variable.name for variable in chosen))
    panels = _placed(rows)
    for panel in panels:
        panel["title"] += _not_applied(panel, names)
    return {
        "__requires": _requires(panels),
        "id": None,
        "uid": uid,
        "title": _TITLES[uid],
        "description": _QUESTIONS[uid],
        "tags": ["bandwidth-voice"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "annotations": {"list": _annotations()},
        "links": _links(uid),
        "templating": {"list": _templating(chosen)},
        "panels": panels,
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    numbers = count(1)
    placed = []
    y = 0
    for height, panels in rows:
        x = 0
        for width, panel in panels:
            at = {"x": x, "y": y, "w": width, "h": height}
            placed.append({"id": next(numbers), "gridPos": at, **panel})
            x += width
        if x != COLUMNS:
            raise ValueError(f"a row of {x} columns: {[panel['title'] for _, panel in panels]}")
        y += height
    return placed


def _not_applied(panel: Json, names: Sequence[str]) -> str:
    """Say which variables change nothing, or not all of a panel; or, where shorter, which do."""
    exprs = [target["expr"] for target in panel["targets"]]
    obeyed = [name for name in names if all(re.search(rf"\${name}\b", expr) for expr in exprs)]
    free = [f"{_LABELS[name].lower()}s" for name in names if name not in obeyed]
    if not free:
        return ""
    if len(free) <= _FEW:
        return f" (all {' and '.join(free)})"
    return f" (only by {', '.join(_LABELS[name].lower() for name in obeyed)})"


def _requires(panels: Sequence[Json]) -> list[Json]:
    kinds = sorted({panel["type"] for panel in panels})
    return [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
    ]


def _links(uid: str) -> list[Json]:
    others = [
        _link(_TITLES[other], _QUESTIONS[other], f"/d/{other}") for other in _TITLES if other != uid
    ]
    pages = _link("Failed calls", "The exporter's own page", "${exporter_url}/failures")
    return [*others, {**pages, "keepTime": False, "includeVars": False, "targetBlank": True}]


def _link(title: str, tooltip: str, url: str) -> Json:
    return {
        "type": "link",
        "title": title,
        "tooltip": tooltip,
        "url": url,
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
    }


def _annotations() -> list[Json]:
    return [
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        {
            # One region an alert, for whatever it fires: many would hide what they lie over.
            **_annotation("Alerts", RED, f"max by ({_ALERT}) ({ALERTS_FIRING})"),
            "titleFormat": "{{alertname}}",
            "textFormat": "{{severity}}, fault domain {{fault_domain}}",
        },
        {
            **_annotation("Restarts", BLUE, f"{of_any('process_start_time_seconds')} * 1000"),
            "titleFormat": "Exporter started",
            "textFormat": "{{instance}}",
            "useValueForTime": True,
        },
    ]


def _annotation(name: str, colour: str, expr: str) -> Json:
    return {
        "datasource": dict(DATASOURCE),
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "expr": expr,
        "step": "60s",
        "tagKeys": "",
    }


def _templating(chosen: Sequence[Variable]) -> list[Json]:
    name = catalog.BUILD_INFO.name
    targets = (
        Variable("job", name),
        Variable("instance", of_rules(name)),
    )
    return [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "current": {},
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "options": [],
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
        },
        *(_choice(variable) for variable in (*targets, *chosen)),
        {
            "type": "textbox",
            "name": "exporter_url",
            "label": "Exporter's pages",
            "query": "http://localhost:10060",
            "current": {
                "selected": True,
                "text": "http://localhost:10060",
                "value": "http://localhost:10060",
            },
            "hide": 0,
            "options": [],
            "skipUrlSync": False,
        },
    ]


def _choice(variable: Variable) -> Json:
    query = f"label_values({variable.selector}, {variable.name})"
    return {
        "type": "query",
        "name": variable.name,
        "label": _LABELS[variable.name],
        "datasource": dict(DATASOURCE),
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": f"{variable.name}-values"},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }
