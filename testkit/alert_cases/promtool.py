"""Cases as promtool's unit tests, and what promtool says of them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any

from testkit import prometheus as prom
from testkit.alert_cases import shipped
from testkit.alert_cases.case import Scene
from testkit.alert_cases.model import Values

Told = Mapping[str, Mapping[str, str]]  # an alert's `labels` and `annotations`

_GOT = re.compile(r"Labels:\{(?P<labels>.*)\}\s*Annotations:\{(?P<annotations>.*)\}", re.MULTILINE)
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')


@cache
def closed() -> bool:
    """Whether this Prometheus takes the left end of a range too, as before version 3."""
    return "version 2." in prom.promtool("--version").stdout


@dataclass(frozen=True)
class Look:
    """The expectation of an alert at a step."""

    step: int
    told: Sequence[Told]


def write(directory: Path, alert: str, scenes: Mapping[str, tuple[Scene, Iterable[Look]]]) -> Path:
    """Write a test file of one alert, with its excerpt of the rules beside it."""
    tests = []
    steps = {scene.minutes for scene, _ in scenes.values()}
    assert len(steps) == 1, f"{alert}: its scenes have one length of a step: {steps}"
    given: set[str] = set()
    for name, (scene, looks) in scenes.items():
        given |= {series.partition("{")[0] for series in scene.series}
        tests.append(
            {
                "name": name,
                "interval": f"{scene.minutes}m",
                "input_series": [
                    {"series": series, "values": _written(values)}
                    for series, values in scene.series.items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": f"{look.step * scene.minutes}m",
                        "alertname": shipped.alerts()[alert].alert,
                        "exp_alerts": [
                            {
                                "exp_labels": dict(told["labels"]),
                                "exp_annotations": dict(told["annotations"]),
                            }
                            for told in look.told
                        ],
                    }
                    for look in looks
                ],
            }
        )
    rules = directory / f"{alert}.rules.yml"
    excerpt = shipped.excerpt(alert, given)
    rules.write_text(json.dumps(excerpt))  # JSON is YAML too
    document: dict[str, Any] = {
        "rule_files": [rules.name],
        "evaluation_interval": f"{steps.pop()}m",
        # Without it promtool evaluates groups in any order, another each time.
        "group_eval_order": [group["name"] for group in excerpt["groups"]],
        "tests": tests,
    }
    file = directory / f"{alert}.test.yml"
    file.write_text(json.dumps(document, indent=1))
    return file


def run(file: Path) -> str:
    """Run a test file and return promtool's complaints, none where all is as expected."""
    result = prom.promtool("test", "rules", str(file), timeout=300)
    said = result.stdout + result.stderr
    return "" if result.returncode == 0 and "SUCCESS" in said else said or "no answer"


def got(complaints: str) -> list[Told]:
    """Return the alerts that promtool found in place of those expected, in order."""
    return [
        {part: _pairs(found[part]) for part in ("labels", "annotations")}
        for block in complaints.split("got:[")[1:]
        for found in _GOT.finditer(block.partition("exp:[")[0])
    ]


def _pairs(text: str) -> dict[str, str]:
    return {name: json.loads(value) for name, value in _PAIR.findall(text)}


def _written(values: Values) -> str:
    return " ".join("_" if value is None else _number(value) for value in values)


def _number(value: float) -> str:
    return "stale" if isnan(value) else f"{value:.15g}"
