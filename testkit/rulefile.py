"""The shipped rule file, as its generator makes it and as a reader takes it apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "alerts" / "bandwidth-voice.rules.yml"

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SELECTOR = re.compile(r"([a-zA-Z_][\w:]*)\s*(\{[^}]*\})")
_MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"(?<![\w:$.])[a-zA-Z_][\w:]*")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_QUERY = re.compile(r'printf "((?:[^"\\]|\\.)*)"[^|]*\| query')


@dataclass(frozen=True)
class Use:
    """The selectors of an expression: a series by name, with matchers (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def rules(path: Path = SHIPPED) -> list[dict[str, Any]]:
    """All rules of a file, in their order."""
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions(rule: dict[str, Any]) -> Iterator[str]:
    """The expression of a rule, and those that its annotations look up."""
    yield rule["expr"]
    for text in rule.get("annotations", {}).values():
        for query in _QUERY.findall(text):
            yield query.replace('\\"', '"').replace("=%q", '="any"')


def uses(expression: str) -> Iterator[Use]:
    """The series that an expression names."""
    for name, matchers in _SELECTOR.findall(expression):
        yield Use(name, tuple(_MATCHER.findall(matchers)))
    bare = _SELECTOR.sub(" ", expression)
    for name in _NAME.findall(_GROUPING.sub(" ", _STRING.sub(" ", bare))):
        if ":" in name or name.startswith("bandwidth_voice"):
            yield Use(name, ())


def grouping_labels(expression: str) -> set[str]:
    """The labels that an expression keeps or matches on."""
    lists = _GROUPING.findall(expression)
    return {label.strip() for labels in lists for label in labels.split(",") if label.strip()}
