"""A rule file: its rules in an order in which each comes after those it reads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec
import yaml

_RECORDED = re.compile(r"(?<![\w:])[a-zA-Z_]\w*:[\w:]+")
_RAW = re.compile(r"(?<![\w:])(?:bandwidth_voice_\w+|up|process_start_time_seconds)(?![\w:])")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNIT = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A recording (``record``) or alerting (``alert``) rule; times in seconds."""

    expr: str
    labels: Mapping[str, str]
    interval: float
    record: str = ""
    alert: str = ""
    hold: float = 0.0  # `for`
    keep_firing: float = 0.0

    @property
    def name(self) -> str:
        """The series or the alert it makes."""
        return self.record or self.alert


class RuleSet(msgspec.Struct, frozen=True):
    """The rules of a file."""

    name: str
    rules: tuple[Rule, ...]

    def about(self, metrics: Iterable[str]) -> "RuleSet":
        """Only alerts that read nothing but these metrics, and the recordings they need."""
        known = set(metrics)
        alerts = [rule for rule in self.rules if rule.alert and self._raw(rule) <= known]
        needed: set[str] = set().union(*(self._recordings(rule) for rule in alerts))
        return RuleSet(
            self.name,
            tuple(rule for rule in self._ordered() if rule in alerts or rule.record in needed),
        )

    def metrics(self) -> set[str]:
        """The metrics that the rules read and do not record."""
        return set().union(*(_names(_RAW, rule.expr) for rule in self.rules))

    def alerts(self) -> tuple[str, ...]:
        """The names of its alerts, each once."""
        return tuple(dict.fromkeys(rule.alert for rule in self.rules if rule.alert))

    def _by_record(self) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.record:
                found.setdefault(rule.record, []).append(rule)
        return found

    def _recordings(self, rule: Rule) -> set[str]:
        by_record = self._by_record()
        found: set[str] = set()
        waiting = _reads(rule, by_record)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting |= set().union(*(_reads(one, by_record) for one in by_record[name]))
        return found

    def _raw(self, rule: Rule) -> set[str]:
        by_record = self._by_record()
        rules = [rule, *(one for name in self._recordings(rule) for one in by_record[name])]
        return set().union(*(_names(_RAW, one.expr) for one in rules))

    def _ordered(self) -> list[Rule]:
        by_record = self._by_record()
        # Sorted: of all orders that would do, each process takes the same.
        graph = {
            name: sorted(set().union(*(_reads(rule, by_record) for rule in rules)))
            for name, rules in by_record.items()
        }
        order = _sorted(graph)
        recordings = [rule for name in order for rule in by_record[name]]
        return recordings + [rule for rule in self.rules if rule.alert]


def load(path: Path) -> RuleSet:
    """Read a rule file; raises ValueError where it has what a replay cannot do."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    rules = tuple(
        _rule(entry, seconds(group.get("interval", "1m")))
        for group in document["groups"]
        for entry in group["rules"]
    )
    for rule in rules:
        if any("{{" in value for value in rule.labels.values()):
            raise ValueError(f"{rule.name}: a label with a template is another one each time")
    return RuleSet(path.name.removesuffix(".rules.yml"), rules)


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it, in seconds."""
    parts = _DURATION.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration or not parts:
        raise ValueError(f"{duration!r} is not a duration")
    return sum(int(number) * _UNIT[unit] for number, unit in parts)


def _rule(entry: Mapping[str, Any], interval: float) -> Rule:
    return Rule(
        expr=entry["expr"],
        labels=entry.get("labels") or {},
        interval=interval,
        record=entry.get("record", ""),
        alert=entry.get("alert", ""),
        hold=seconds(entry.get("for", "0s")),
        keep_firing=seconds(entry.get("keep_firing_for", "0s")),
    )


def _sorted(graph: dict[str, list[str]]) -> list[str]:
    """Put names after those they read, as far as they do not read each other."""
    while True:
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            _, names = error.args
            # A rule that reads its own past: when it is evaluated is decided where it is replayed.
            read, reader = names[0], names[1]
            graph = {**graph, reader: [one for one in graph[reader] if one != read]}


def _reads(rule: Rule, recorded: Mapping[str, Sequence[Rule]]) -> set[str]:
    return {name for name in _names(_RECORDED, rule.expr) if name in recorded}


def _names(pattern: re.Pattern[str], expr: str) -> set[str]:
    return set(pattern.findall(_QUOTED.sub('""', expr)))
