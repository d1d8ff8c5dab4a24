"""The rule file: groups of rules, written as YAML."""

from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from bandwidth_voice_exporter.alerts.durations import divided, scaled
from bandwidth_voice_exporter.alerts.grouping import clauses, texts
from bandwidth_voice_exporter.alerts.names import of_condition, told_as

_HEADER = "# Made by `bandwidth-voice-exporter rules`: change what `rules --print-config` shows.\n"
_GROUPED = """\
# In Alertmanager's configuration these belong beside job in every group_by and equal: {}.
# Without them what fires in staging mutes production's pages.
"""


class LinkedPages(msgspec.Struct, frozen=True):
    """Addresses of what shows an alert; empty where nobody has said them."""

    dashboard: str
    failures: str


class Recording(msgspec.Struct, frozen=True):
    """A series that is computed once for many readers."""

    record: str
    expr: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A condition and what a person is told of it; ``fault_domain`` None: the series has it.

    ``name`` is the condition's, and its runbook's: several may be told under one alert's name.
    """

    name: str
    expr: str
    severity: str
    fault_domain: str | None
    summary: str
    description: str
    dashboard: LinkedPages
    lasts: str = "0s"
    keep: str | None = None


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated together, in order."""

    name: str
    interval: str
    rules: Sequence[Recording | Alert]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that all rules of a file share; ``runbook`` is empty or has {} for a name."""

    runbook: str
    time_scale: int = 1  # every duration is divided by it
    group_labels: tuple[str, ...] = ()


def render(groups: Sequence[Group], form: Form) -> str:
    """Write the rule file."""
    document = {"groups": [_group(group, form) for group in groups]}
    grouped = _GROUPED.format(", ".join(form.group_labels)) if form.group_labels else ""
    return f"{_HEADER}{grouped}" + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )


def _group(group: Group, form: Form) -> dict[str, Any]:
    return {
        "name": group.name,
        "interval": divided(group.interval, form.time_scale),
        "rules": [
            _alert(rule, form)
            if isinstance(rule, Alert)
            else {"record": rule.record, "expr": _block(rule.expr, form)}
            for rule in group.rules
        ],
    }


def _alert(alert: Alert, form: Form) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": told_as(alert.name), "expr": _block(alert.expr, form)}
    if alert.lasts != "0s":
        rule["for"] = divided(alert.lasts, form.time_scale)
    if alert.keep:
        rule["keep_firing_for"] = divided(alert.keep, form.time_scale)
    rule["labels"] = {"severity": alert.severity}
    if alert.fault_domain:
        rule["labels"]["fault_domain"] = alert.fault_domain
    rule["labels"] |= of_condition(alert.name)
    annotations = {
        "summary": alert.summary,
        "description": scaled(texts(alert.description, form.group_labels), form.time_scale),
        "runbook_url": form.runbook.format(alert.name),
        "dashboard_url": texts(alert.dashboard.dashboard, form.group_labels),
        "failures_url": alert.dashboard.failures,
    }
    rule["annotations"] = {name: text for name, text in annotations.items() if text}
    return rule


def _block(expression: str, form: Form) -> "_Block":
    lines = scaled(clauses(expression, form.group_labels), form.time_scale).splitlines()
    return _Block("\n".join(line.rstrip() for line in lines))


class _Block(str):
    """Text that keeps its lines."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """YAML in the layout that people write rules in."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base class's signature
        """Indent lists below their key."""
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)
