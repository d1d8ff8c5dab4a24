"""Alerts that fire, as Prometheus or Alertmanager tells of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from bandwidth_voice_exporter.voice import SECOND

# Of Prometheus, and of Alertmanager, which leaves out what is silenced or muted by another alert.
PROMETHEUS = "/api/v1/alerts"
ALERTMANAGER = "/api/v2/alerts?active=true&silenced=false&inhibited=false&unprocessed=false"

_PREFIX = "BandwidthVoice"
_SEVERITIES = ("critical", "warning", "info")
_MOST = 20  # alerts on the page
_LONGEST = 400  # characters of a text


class NoAlertsError(ValueError):
    """An answer that tells of no alerts."""


class FiringAlert(msgspec.Struct, frozen=True):
    """An alert that fires; ``since`` in microseconds since 1970, ``runbook`` a runbook's name."""

    name: str
    severity: str
    about: str
    text: str
    since: int
    runbook: str


class Firing(msgspec.Struct, frozen=True):
    """The alerts that fired ``at`` a time (microseconds), worst and newest first.

    Of ``count`` alerts the page shows as many as there is room for. With a ``problem`` nothing is
    known about them: the sentence says why.
    """

    at: int
    alerts: Sequence[FiringAlert] = ()
    count: int = 0
    problem: str = ""


class _ToldAlert(msgspec.Struct):
    labels: dict[str, str]
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    state: str = "firing"  # Prometheus tells of pending ones too
    active: datetime | None = msgspec.field(default=None, name="activeAt")
    starts: datetime | None = msgspec.field(default=None, name="startsAt")


class _Data(msgspec.Struct):
    alerts: list[_ToldAlert]


class _Answer(msgspec.Struct):
    data: _Data


def read(body: bytes, path: str, at: int) -> Firing:
    """Return the exporter's own alerts of an answer. Raises NoAlertsError."""
    try:
        if path == PROMETHEUS:
            told = msgspec.json.decode(body, type=_Answer).data.alerts
        else:
            told = msgspec.json.decode(body, type=list[_ToldAlert])
        found = [_alert(one, at) for one in told if _is_ours(one)]
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
        raise NoAlertsError(str(error)) from None
    found.sort(key=lambda one: (_rank(one.severity), -one.since, one.name, one.about))
    return Firing(at, found[:_MOST], len(found))


def _is_ours(told: _ToldAlert) -> bool:
    return told.state == "firing" and told.labels.get("alertname", "").startswith(_PREFIX)


def _alert(told: _ToldAlert, at: int) -> FiringAlert:
    labels = told.labels
    name = labels["alertname"]
    began = told.active or told.starts
    return FiringAlert(
        name=name[:_LONGEST],
        severity=labels.get("severity", "")[:_LONGEST],
        about=_about(labels),
        text=(told.annotations.get("description") or told.annotations.get("summary", ""))[
            :_LONGEST
        ],
        since=max(0, min(at, round(began.timestamp() * SECOND))) if began else 0,
        runbook=_PREFIX + labels["condition"] if "condition" in labels else name,
    )


def _about(labels: Mapping[str, str]) -> str:
    named = (labels.get(one) for one in ("direction", "application", "cause", "route"))
    return ", ".join(filter(None, named))[:_LONGEST]


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
