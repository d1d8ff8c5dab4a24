"""What an Alertmanager sends of alarms: grouped as its configuration file says."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lab.alert_quality.replay import Alarm
from lab.alert_quality.rules import seconds

_MATCHER = re.compile(r'^\s*(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$')
_DEFAULTS = {"group_wait": "30s", "group_interval": "5m", "group_by": ()}


class Route(msgspec.Struct, frozen=True):
    """Where alerts with such labels go, and how they are put together; times in minutes."""

    matchers: tuple[tuple[str, str, str], ...]
    group_by: tuple[str, ...]
    wait: float
    interval: float
    routes: "tuple[Route, ...]"
    goes_on: bool = False  # `continue`

    def of(self, labels: Mapping[str, str]) -> "Route":
        """The route that takes an alert: the first that matches, as deep as it goes."""
        for route in self.routes:
            if all(_holds(labels.get(name, ""), op, value) for name, op, value in route.matchers):
                assert not route.goes_on, "an alert that takes two routes is not counted here"
                return route.of(labels)
        return self


class Notification(msgspec.Struct, frozen=True):
    """Something new of a group, in minutes; reminders that it still fires are none."""

    group: Mapping[str, str]
    at: float


def read(file: Path) -> Route:
    """The routes of an Alertmanager's configuration file."""
    return _route(yaml.safe_load(file.read_text("utf-8"))["route"], _DEFAULTS)


def notifications(root: Route, alarms: Sequence[Alarm], end: float) -> list[Notification]:
    """All notifications in which an alert is told that was not told as firing before."""
    groups: dict[tuple[int, tuple[tuple[str, str], ...]], list[Alarm]] = {}
    routes: dict[int, Route] = {}
    for alarm in alarms:
        route = root.of(alarm.labels)
        routes[id(route)] = route
        key = tuple((name, alarm.labels[name]) for name in route.group_by if name in alarm.labels)
        groups.setdefault((id(route), key), []).append(alarm)
    found = [
        Notification(dict(key), at)
        for (route_id, key), some in groups.items()
        for at in _told(routes[route_id], some, end)
    ]
    return sorted(found, key=lambda one: one.at)


def _told(route: Route, alarms: Sequence[Alarm], end: float) -> list[float]:
    spans = sorted(
        (
            alarm.start,
            end if alarm.end is None else alarm.end,
            tuple(sorted(alarm.labels.items())),
        )
        for alarm in alarms
    )
    found: list[float] = []
    place = 0
    while place < len(spans):
        # A group is born with its first alert, and gone when nothing of it fires.
        flush = spans[place][0] + route.wait
        told: set[tuple[tuple[str, str], ...]] = set()
        while True:
            firing = {labels for start, until, labels in spans if start <= flush < until}
            if not firing:
                break
            if firing - told:
                found.append(flush)
            told = firing
            flush += route.interval
        place = next((n for n, span in enumerate(spans) if span[0] > flush), len(spans))
    return found


def _route(entry: Mapping[str, Any], above: Mapping[str, Any]) -> Route:
    own = {**above, **{name: entry[name] for name in _DEFAULTS if name in entry}}
    return Route(
        matchers=tuple(_matcher(text) for text in entry.get("matchers", ())),
        group_by=tuple(own["group_by"]),
        wait=seconds(own["group_wait"]) / 60,
        interval=seconds(own["group_interval"]) / 60,
        routes=tuple(_route(route, own) for route in entry.get("routes", ())),
        goes_on=bool(entry.get("continue", False)),
    )


def _matcher(text: str) -> tuple[str, str, str]:
    found = _MATCHER.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no matcher")
    return found[1], found[2], found[3]


def _holds(value: str, op: str, to: str) -> bool:
    same = re.fullmatch(to, value) is not None if "~" in op else value == to
    return same != op.startswith("!")
