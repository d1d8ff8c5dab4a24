"""The rules that are shipped, with links, and what of them an alert depends on.

Beside them are the alerts that only a configuration makes: they have cases and runbooks too.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bandwidth_voice_exporter import runbooks as shelf
from bandwidth_voice_exporter.alerts import config, rules
from testkit.alert_cases.settings import CONFIG

RULES = Path(__file__).resolve().parents[2] / "alerts" / "bandwidth-voice.rules.yml"
RUNBOOKS = Path(shelf.__file__).parent

# Without addresses nothing is linked to, and no template of a link would be tried.
_LINKS = config.Links(
    runbooks="https://runbooks.example.com/bandwidth-voice",
    dashboards="https://grafana.example.com/d",
)

# Of a site that has every alert there is.
_EVERYTHING = msgspec.structs.replace(CONFIG, links=_LINKS, switched_by_hand=("outbound",))

_RECORDED = re.compile(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9]+\b")
_MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as Prometheus reads it."""

    expr: str
    record: str | None = None
    alert: str | None = None
    hold: str = msgspec.field(name="for", default="0s")
    keep: str = msgspec.field(name="keep_firing_for", default="0s")
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}

    @property
    def condition(self) -> str | None:
        """An alert's condition: its runbook has the name, the alert's name is that of several."""
        return condition_of(self.alert, self.labels) if self.alert else None

    @property
    def needs(self) -> set[str]:
        """The recorded series that it reads, those of its texts included."""
        return set(_RECORDED.findall(" ".join((self.expr, *self.annotations.values()))))

    @property
    def hold_minutes(self) -> float:
        """How long the condition must hold before the alert fires."""
        return _minutes(self.hold)

    @property
    def keep_minutes(self) -> float:
        """How long the alert goes on when its condition does not hold any more."""
        return _minutes(self.keep)


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated together, in order."""

    name: str
    interval: str
    rules: tuple[Rule, ...]


def condition_of(alert: str, labels: Mapping[str, str]) -> str:
    """Return the condition that an alert of this name and with these labels tells of."""
    condition = labels.get("condition")
    return f"BandwidthVoice{condition}" if condition else alert


@cache
def groups() -> tuple[Group, ...]:
    """Return the groups of rules."""
    return msgspec.convert(_document()["groups"], tuple[Group, ...])


def recorded() -> set[str]:
    """Return the names of all recorded series."""
    return {rule.record for group in groups() for rule in group.rules if rule.record}


def alerts() -> dict[str, Rule]:
    """Return the alerts by condition."""
    rules = chain.from_iterable(group.rules for group in groups())
    return {rule.condition: rule for rule in rules if rule.condition}


def excerpt(alert: str, given: Iterable[str]) -> dict[str, Any]:
    """Return a rule file of a condition and what it reads, but for the recorded series ``given``.

    The series that a week's history would have recorded are given too, or are not there.
    """
    slow = (group.rules for group in groups() if "-baseline" in group.name)
    there = {*given, *(rule.record for rule in chain.from_iterable(slow))}
    wanted: set[str] = set()
    missing = alerts()[alert].needs - there
    while missing:
        wanted |= missing
        read = (rule.needs for group in groups() for rule in group.rules if rule.record in missing)
        missing = {*chain.from_iterable(read)} - wanted - there
    excerpted = [
        {
            **written,
            "rules": [
                text
                for text, rule in zip(written["rules"], group.rules, strict=True)
                if rule.condition == alert or rule.record in wanted
            ],
        }
        for written, group in zip(_document()["groups"], groups(), strict=True)
    ]
    return {"groups": [group for group in excerpted if group["rules"]]}


@cache
def _document() -> dict[str, Any]:
    document = _generated(msgspec.structs.replace(CONFIG, links=_LINKS))
    known = {*map(_named, chain.from_iterable(group["rules"] for group in document["groups"]))}
    more = {group["name"]: group["rules"] for group in _generated(_EVERYTHING)["groups"]}
    for group in document["groups"]:
        group["rules"] += [rule for rule in more[group["name"]] if _named(rule) not in known]
    return document


def _generated(settings: config.Config) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(rules.text(settings), yaml.CSafeLoader)
    return document


def _named(rule: Mapping[str, Any]) -> str:
    return condition_of(rule["alert"], rule["labels"]) if "alert" in rule else str(rule["record"])


def _minutes(text: str) -> float:
    return sum(int(number) * _MINUTES[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))
