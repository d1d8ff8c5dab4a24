"""The text of each alert in its cases, word for word, as people have read and approved it.

A change of words or thresholds changes it: ``python -m testkit.alert_cases.texts`` has
promtool write it anew (conditions as arguments: only those). Read the difference before it is
committed.
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testkit.alert_cases import catalogue, promtool, shipped
from testkit.alert_cases.case import Scene
from testkit.alert_cases.promtool import Look, Told

FILE = Path(__file__).parent / "texts.json"
EXAMPLES = shipped.RULES.with_name("EXAMPLES.md")

_RUNBOOKS = "../src/bandwidth_voice_exporter/runbooks"
_PREFIX = "BandwidthVoice"
_HEAD = """# What the alerts say

Each condition's first case in the tests, as Prometheus renders it. Written by
`python -m testkit.alert_cases.texts`; the alerts' names begin with `BandwidthVoice`.

| alert | severity | condition and runbook | for example |
|---|---|---|---|"""
_NUMBER = re.compile(r"\d[\d.]*")

Texts = Mapping[str, Mapping[str, Sequence[Told]]]  # by alert and case, in order of time


def load() -> Texts:
    """Return the approved texts."""
    texts: Texts = json.loads(FILE.read_text("utf-8"))
    return texts


def approved(alert: str, directory: Path) -> Mapping[str, Sequence[Told]]:
    """Return the approved texts of an alert, by case.

    Prometheus 3 counts the first minutes of an incident a little differently: there what it says
    must be approved but for the numbers.
    """
    written = load()[alert]
    if promtool.closed():
        return written
    said = found(alert, directory)
    assert _NUMBER.sub("#", json.dumps(said)) == _NUMBER.sub("#", json.dumps(written))
    return said


def told_at(scene: Scene, alert: str) -> list[int]:
    """Return the steps at which an alert begins to fire and at which it fires for the last time."""
    fires = [False, *scene.firing(alert), False]
    return sorted(
        {
            step
            for step in range(len(fires) - 2)
            if fires[step + 1] and not (fires[step] and fires[step + 2])
        }
    )


def found(alert: str, directory: Path) -> dict[str, list[Told]]:
    """Return what an alert says now, by case."""
    said: dict[str, list[Told]] = {}
    for case in catalogue.of(alert):
        looks = [Look(step, []) for step in told_at(case.fires, alert)]
        complaints = promtool.run(
            promtool.write(directory, alert, {case.name: (case.fires, looks)})
        )
        said[case.name] = promtool.got(complaints)
        if len(said[case.name]) != len(looks):
            raise AssertionError(
                f"{alert}, {case.name}: {len(looks)} times expected to fire\n{complaints}"
            )
    return said


def examples() -> str:
    """Return what people read of each condition, from its first case: the file of examples."""
    told = ((condition, next(iter(cases.values()))[0]) for condition, cases in load().items())
    lines = []
    for condition, begins in sorted(told, key=lambda one: (one[1]["labels"]["alertname"], one[0])):
        labels, said = begins["labels"], begins["annotations"]
        name = labels["alertname"].removeprefix(_PREFIX)
        runbook = f"[{condition.removeprefix(_PREFIX)}]({_RUNBOOKS}/{condition}.md)"
        lines.append(f"| {name} | {labels['severity']} | {runbook} | {said['description']} |")
    return "\n".join((_HEAD, *lines, ""))


def main(only: Sequence[str]) -> None:
    """Write the texts anew, or only those of some conditions."""
    known, conditions = load(), shipped.alerts()
    with tempfile.TemporaryDirectory() as directory:
        texts = {
            condition: found(condition, Path(directory))
            if not only or condition in only or condition not in known
            else known[condition]
            for condition in sorted(conditions)
        }
    FILE.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    EXAMPLES.write_text(examples(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
