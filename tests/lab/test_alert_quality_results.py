"""The results that the benchmark keeps, and the table and picture that it makes of them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.alert_quality import picture, report, results
from lab.alert_quality.catalogue import REPORTING_SEEDS, WARM_UP
from lab.alert_quality.replay import Alarm
from lab.alert_quality.results import Raw
from lab.alert_quality.rules import RuleSet
from lab.alert_quality.scenario import Run

_RUN = Run("incidents", 10, REPORTING_SEEDS[0])
_RULES = """
groups: [{name: g, rules: [{alert: Spike, expr: up == THRESHOLD, labels: {severity: critical}}]}]
"""


def _alarms() -> tuple[Alarm, ...]:
    """One for each incident, a minute after its start, and one that is false."""
    right = (
        Alarm(
            {
                "alertname": {"flow": "Silent", "short": "ShortCalls"}.get(one.kind, "Spike"),
                "fault_domain": one.kind,
                "severity": "critical",
            },
            one.start + 1,
            one.end + 2,
        )
        for one in (entry.incident for entry in _RUN.entries())
    )
    return (*right, Alarm({"alertname": "Spike", "severity": "warning"}, WARM_UP, WARM_UP + 1))


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rule sets that were replayed so far; their alarms are made up."""
    names: list[str] = []

    def raw_alarms(_run: Run, sets: Mapping[str, RuleSet]) -> dict[str, Raw]:
        names.extend(sets)
        return dict.fromkeys(sets, Raw(_alarms(), ()))

    monkeypatch.setattr(results, "raw_alarms", raw_alarms)
    return names


def test_only_what_changed_is_done_again(tmp_path: Path, replayed: list[str]) -> None:
    """A second run replays the rule set whose expression changed, and keeps the other's results."""
    files = {name: tmp_path / f"{name}.rules.yml" for name in ("static", "random")}
    for file in files.values():
        file.write_text(_RULES.replace("THRESHOLD", "0"))
    results.run_one(_RUN, files, tmp_path)
    results.run_one(_RUN, files, tmp_path)
    assert replayed == ["static", "random"]
    files["random"].write_text(_RULES.replace("THRESHOLD", "1"))
    results.run_one(_RUN, files, tmp_path)
    assert replayed == ["static", "random", "random"]
    assert set(results.load(tmp_path / f"{_RUN.name}.json")) == {"static", "random"}


@pytest.mark.usefixtures("replayed")
def test_table_and_picture_show_what_was_measured(tmp_path: Path) -> None:
    """The table has the figures of the results, and the picture is the same for the same ones."""
    file = tmp_path / "some.rules.yml"
    file.write_text(_RULES.replace("THRESHOLD", "0"))
    results.run_one(_RUN, {results.OURS: file, "static": file}, tmp_path)
    material = sum(entry.material for entry in _RUN.entries())
    table = report.table(tmp_path)
    assert f"| recall, all | 1.000 (0.94-1.00, n={material}) |" in table
    assert "| detected after, all | 1 / 1 min |" in table
    assert "| false alarms a week | 0.30 (1) |" in table
    assert "| static | 0.3 / 1.00 / 1.00 |" in table
    found = report.measured(tmp_path, "incidents", REPORTING_SEEDS)
    drawn = []
    for name in ("one.svg", "other.svg"):
        picture.draw(found, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert b"these rules" in drawn[0]


@pytest.mark.usefixtures("replayed")
def test_rule_sets_are_compared_over_the_same_runs(tmp_path: Path) -> None:
    """A run that not every rule set was replayed in counts for ours alone."""
    file = tmp_path / "some.rules.yml"
    file.write_text(_RULES.replace("THRESHOLD", "0"))
    results.run_one(_RUN, {results.OURS: file, "static": file}, tmp_path)
    results.run_one(Run("incidents", 10, REPORTING_SEEDS[1]), {results.OURS: file}, tmp_path)
    weeks = {
        rule_set: of.weeks for (rule_set, _), of in report.beside(tmp_path, REPORTING_SEEDS).items()
    }
    assert weeks[results.OURS] == weeks["static"]
    alone = report.measured(tmp_path, "incidents", REPORTING_SEEDS)
    assert alone[results.OURS, 10].weeks > weeks[results.OURS]


@pytest.mark.program
def test_rules_are_in_the_same_order_everywhere() -> None:
    """Two processes replay the shipped rules in one order: what one did, another need not."""
    code = (
        "from lab.alert_quality import results, rules;"
        "print([one.name for one in rules.load(results.path_of(results.OURS)).about(['up',"
        "'bandwidth_voice_calls_total','bandwidth_voice_reconciled_calls_total']).rules])"
    )
    orders = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=results.ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(orders) == 1
    assert b"BandwidthVoiceApplicationFailures" in orders.pop()


@pytest.mark.usefixtures("replayed")
def test_versions_are_not_mixed(tmp_path: Path) -> None:
    """No table is made of results that belong to different versions of a rule file."""
    file = tmp_path / "some.rules.yml"
    for seed, threshold in zip(REPORTING_SEEDS, ("0", "1"), strict=False):
        file.write_text(_RULES.replace("THRESHOLD", threshold))
        results.run_one(Run("incidents", 10, seed), {results.OURS: file}, tmp_path)
    with pytest.raises(ValueError, match="more than one version of bandwidth-voice"):
        report.table(tmp_path)


@pytest.mark.usefixtures("replayed")
def test_short_table_says_what_was_missed(tmp_path: Path) -> None:
    """A figure beyond its limit is marked, one within it is not."""
    file = tmp_path / "some.rules.yml"
    file.write_text(_RULES.replace("THRESHOLD", "0"))
    # The alarms are those of the first run's incidents, and so nearly all wrong in the second.
    for run in (_RUN, Run("incidents", 30_000, _RUN.seed)):
        results.run_one(run, {results.OURS: file}, tmp_path)
    title, _, _, false, _, found, *_ = report.short(tmp_path).splitlines()
    assert title == "|  | 10/min | 500/s |"
    assert re.fullmatch(
        r"\| false alarms .* \| 0\.30 \(≤ 0\.3\) \| .* \(≤ 0\.3\) \*\*missed\*\* \|", false
    )
    assert re.fullmatch(r"\| found.* \| 1\.000 \(≥ 0\.85\) \| .* \*\*missed\*\* \|", found)


def test_the_measured_figures_are_documented() -> None:
    """The documented table of the alerts' quality is what the committed results give."""
    assert report.short(results.COMMITTED) in (results.ROOT / "docs" / "quality.md").read_text(
        "utf-8"
    )
