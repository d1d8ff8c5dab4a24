"""Which incidents were found, how fast, and which alarms were false: by events, not by minutes."""

import re
from collections.abc import Sequence

import msgspec

from lab.alert_quality.catalogue import Entry
from lab.alert_quality.incident import FLOW, SHORT, Incident
from lab.alert_quality.replay import Alarm
from lab.alert_quality.traffic import DIRECTIONS, WEEK

LATEST = 5  # minutes after an incident's end until which an alert may still start
ECHO = 30  # minutes after an incident's end in which an alarm is not false
MERGE = 15  # minutes between two firings of an alert that are one alarm all the same
CRITICAL = "critical"
_GRAVITY = ("", "info", "warning", CRITICAL)
_LISTED = 40  # false alarms kept of a run

# The label fault_domain says what an alert is about, unless its name says one of these.
_FLOW_ALERT = re.compile(r"Silent|Volume|TrafficLost")
_SHORT_ALERT = re.compile(r"ShortCall|Acd|ZeroTalk")


class Found(msgspec.Struct, frozen=True, array_like=True):
    """What became of an incident; times in minutes, None where it did not come to that.

    ``detected``: from its start to that of the first right alarm; ``critical``: to the first
    critical one; ``by``: the alert that came first; ``cleared``: from the incident's end to the end
    of that alert, 0 if earlier; ``resolved``: the same of the last right alert, slow tickets
    included; ``named``: whether the first alarm of any kind was right.
    """

    detected: float | None = None
    critical: float | None = None
    by: str | None = None
    cleared: float | None = None
    resolved: float | None = None
    named: bool | None = None


class FalseAlarm(msgspec.Struct, frozen=True, array_like=True):
    """Firings of one alert in one direction, merged; in minutes."""

    alert: str
    severity: str
    labels: str
    start: float
    end: float


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run: a `Found` for each incident of the catalogue, in its order."""

    found: tuple[Found, ...]
    false_critical: int
    false_any: int
    false_alarms: tuple[FalseAlarm, ...]  # all of them, or the first that can be looked at
    free_weeks: float  # scored time without incident, the mean of both directions
    alarmed_weeks: float  # of it, with any alarm


def kind(alarm: Alarm) -> str:
    """The kind of incident that an alarm tells of."""
    name = alarm.labels["alertname"]
    if _FLOW_ALERT.search(name):
        return FLOW
    if _SHORT_ALERT.search(name):
        return SHORT
    return alarm.labels.get("fault_domain", "")


def score(entries: Sequence[Entry], alarms: Sequence[Alarm], begin: int, end: int) -> Score:
    """Score the minutes from ``begin`` to ``end``."""
    incidents = [entry.incident for entry in entries]
    false = [
        alarm
        for alarm in alarms
        if alarm.start >= begin and not any(_excuses(one, alarm, end) for one in incidents)
    ]
    false_alarms = merged(false, end)
    free = {lane: _free(incidents, lane, begin, end) for lane in DIRECTIONS}
    alarmed = sum(len(minutes & _alarmed(alarms, lane, end)) for lane, minutes in free.items())
    return Score(
        found=tuple(_found(incident, alarms, end) for incident in incidents),
        false_critical=sum(alarm.severity == CRITICAL for alarm in false_alarms),
        false_any=len(false_alarms),
        false_alarms=false_alarms[:_LISTED],
        free_weeks=round(sum(map(len, free.values())) / len(free) / WEEK, 4),
        alarmed_weeks=round(alarmed / len(free) / WEEK, 4),
    )


def merged(alarms: Sequence[Alarm], end: int) -> tuple[FalseAlarm, ...]:
    """One alarm for the firings of an alert in a direction that lie close together."""
    found: list[FalseAlarm] = []
    last: dict[tuple[str, str], int] = {}
    for alarm in sorted(alarms, key=lambda alarm: alarm.start):
        name, severity = alarm.labels["alertname"], alarm.labels.get("severity", "")
        key = (name, alarm.labels.get("direction", ""))
        until = _until(alarm, end)
        before = found[last[key]] if key in last else None
        if before is not None and alarm.start <= before.end + MERGE:
            # A ticket that becomes a page is a page.
            worst = max(before.severity, severity, key=_GRAVITY.index)
            found[last[key]] = msgspec.structs.replace(
                before, end=max(before.end, until), severity=worst
            )
            continue
        last[key] = len(found)
        found.append(FalseAlarm(name, severity, _text(alarm), alarm.start, until))
    return tuple(found)


def _found(incident: Incident, alarms: Sequence[Alarm], end: int) -> Found:
    about = [
        alarm
        for alarm in alarms
        if _can_mean(alarm, incident) and incident.start <= alarm.start <= incident.end + LATEST
    ]
    if not about:
        return Found()
    first = min(alarm.start for alarm in about)
    right = [alarm for alarm in about if kind(alarm) == incident.kind]
    named = any(alarm.start == first for alarm in right)
    if not right:
        return Found(named=named)
    critical = [alarm.start for alarm in right if alarm.labels.get("severity") == CRITICAL]
    detecting = min(right, key=lambda alarm: alarm.start)
    name = detecting.labels["alertname"]

    def _after(those: Sequence[Alarm]) -> float:
        return _minutes(max(0.0, max(_until(alarm, end) for alarm in those) - incident.end))

    return Found(
        detected=_minutes(detecting.start - incident.start),
        critical=_minutes(min(critical) - incident.start) if critical else None,
        by=name,
        cleared=_after([alarm for alarm in right if alarm.labels["alertname"] == name]),
        resolved=_after(right),
        named=named,
    )


def _can_mean(alarm: Alarm, incident: Incident) -> bool:
    direction = alarm.labels.get("direction")
    application = alarm.labels.get("application")
    return (direction is None or incident.runs_in(direction)) and (
        None in {application, incident.application} or application == incident.application
    )


def _excuses(incident: Incident, alarm: Alarm, end: int) -> bool:
    direction = alarm.labels.get("direction")
    return (
        (direction is None or incident.runs_in(direction))
        and alarm.start < incident.end + ECHO
        and _until(alarm, end) > incident.start
    )


def _free(incidents: Sequence[Incident], lane: str, begin: int, end: int) -> set[int]:
    free = set(range(begin, end))
    for incident in incidents:
        if incident.runs_in(lane):
            free.difference_update(range(incident.start, incident.end + ECHO))
    return free


def _alarmed(alarms: Sequence[Alarm], lane: str, end: int) -> set[int]:
    return {
        minute
        for alarm in alarms
        if alarm.labels.get("direction") in {None, lane}
        for minute in range(int(alarm.start), int(_until(alarm, end)) + 1)
    }


def _until(alarm: Alarm, end: int) -> float:
    return float(end) if alarm.end is None else alarm.end


def _text(alarm: Alarm) -> str:
    dull = {"alertname", "severity", "job"}
    return " ".join(f"{k}={v}" for k, v in sorted(alarm.labels.items()) if k not in dull)


def _minutes(value: float) -> float:
    return round(value, 2)
