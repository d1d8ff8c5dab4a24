"""The committed dashboards: their queries, with macros and variables expanded as Grafana does."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "dashboards"
NAMES = ("outcomes", "failures", "exporter")

# Of the URL that Grafana asks for values: label_values(SELECTOR, LABEL).
LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::\w+)?\}|(?P<plain>\w+))")
_SPECIAL = re.compile(r"[\\^$*+?.()|{}\[\]/]")
_NOT_APPLIED = re.compile(r" \((?:all|only by) [a-z ,]+\)$")


def file_of(name: str) -> Path:
    """The path of a dashboard."""
    return DIRECTORY / f"bandwidth-voice-{name}.json"


def load(name: str) -> Json:
    """A dashboard as it was committed."""
    dashboard: Json = json.loads(file_of(name).read_text())
    return dashboard


@dataclass(frozen=True)
class Query:
    """One query of a panel; `key` names it: dashboard, panel without its remark, letter."""

    dashboard: str
    panel: Json
    target: Json

    @property
    def key(self) -> str:
        """Its name for people and tables."""
        title = _NOT_APPLIED.sub("", self.panel["title"])
        return f"{self.dashboard}/{title}/{self.target['refId']}"

    @property
    def expr(self) -> str:
        """As it was written, with macros and variables."""
        return str(self.target["expr"])


def queries(name: str) -> Iterator[Query]:
    """Every query of every panel of a dashboard."""
    for panel in load(name)["panels"]:
        for target in panel["targets"]:
            yield Query(name, panel, target)


def all_queries() -> list[Query]:
    """Every query of every panel of all of them."""
    return [query for name in NAMES for query in queries(name)]


def choices(dashboard: Json) -> list[Json]:
    """The variables whose values come from a query."""
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


@dataclass(frozen=True)
class View:
    """A person's choices: a time range, a scrape interval of the data source, a choice.

    A variable that is not chosen is All. `interval` is what Grafana derives from the range and the
    width of the panel, all in seconds.
    """

    range: int = 21600
    interval: int = 15
    scrape_interval: int = 15
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def rate_interval(self) -> int:
        """The value of $__rate_interval."""
        return max(self.interval + self.scrape_interval, 4 * self.scrape_interval)

    def expand(self, text: str, variables: Sequence[Json] = ()) -> str:
        """Return a query as it reaches Prometheus; a KeyError names what is not there."""
        macros = {
            "__rate_interval": f"{self.rate_interval}s",
            "__interval": f"{self.interval}s",
            "__range": f"{self.range}s",
            "__range_s": str(self.range),
        }
        alls = {variable["name"]: variable["allValue"] for variable in variables}

        def value(found: re.Match[str]) -> str:
            name = found["braced"] or found["plain"]
            if name in macros:
                return macros[name]
            if name in self.chosen:
                return _alternatives(self.chosen[name])
            return str(alls[name])

        return _VARIABLE.sub(value, text)


def _alternatives(values: Sequence[str]) -> str:
    # Backslashes twice: once for the regular expression, once for PromQL's string.
    escaped = [_SPECIAL.sub(r"\\\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
