"""The rules on a system in which nothing happens, or of which nothing is known yet."""

import json
from pathlib import Path

import pytest

from testkit.alert_cases import promtool, shipped
from testkit.alert_cases.series import INSTANCE, JOB, named
from testkit.calls import APPLICATION
from testkit.exporter import StartExporter

pytestmark = pytest.mark.prometheus

_STEP = "2m"  # nothing happens, and all rules are evaluated


def firing(directory: Path, series: dict[str, str], *minutes: int) -> set[str]:
    """Return which of all alerts fire at one of these times; AssertionError if a rule fails."""
    looks = [
        {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}
        for minute in minutes
        for alert in sorted({str(rule.alert) for rule in shipped.alerts().values()})
    ]
    file = directory / "idle.test.yml"
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": _STEP, "input_series": given, "alert_rule_test": looks}
    document = {
        "rule_files": [str(shipped.RULES)],
        "evaluation_interval": _STEP,
        "group_eval_order": [group.name for group in shipped.groups()],
        "tests": [test],
    }
    file.write_text(json.dumps(document))
    complaints = promtool.run(file)
    told = promtool.got(complaints)
    assert bool(told) == bool(complaints), complaints
    return {alert["labels"]["alertname"].removeprefix("BandwidthVoice") for alert in told}


def first_scrape(exporter: StartExporter, values: str) -> dict[str, str]:
    """Return the samples of a new exporter by series, each followed by the later values."""
    samples = exporter(f"--labels.application={APPLICATION}=support").metrics(scrape=True)
    scraped = {
        named(name, instance=INSTANCE, **dict(labels)): f"{value:.15g}{values}"
        for (name, labels), value in samples.items()
    }
    return {**scraped, named("up", instance=INSTANCE): f"1{values}"}


def test_idle_exporter_raises_no_alarm(exporter: StartExporter, tmp_path: Path) -> None:
    """An hour without a call tells that there is no baseline, and nothing else."""
    idle = first_scrape(exporter, "+0x40")
    assert firing(tmp_path, idle, 2, 10, 30, 58, 70) == {"BaselineMissing"}


def test_single_scrape_raises_no_alarm(exporter: StartExporter, tmp_path: Path) -> None:
    """After a single scrape every rule can be evaluated, and none has anything to say."""
    assert firing(tmp_path, first_scrape(exporter, ""), 0, 2, 6) == set()


def test_nothing_at_all_is_an_alarm(tmp_path: Path) -> None:
    """Where no exporter was ever scraped, only that is told."""
    other = {f'up{{job="{JOB[::-1]}",instance="{INSTANCE}"}}': "1+0x10"}
    assert firing(tmp_path, other, 8) == set()
    assert firing(tmp_path, other, 12) == {"ExporterDown"}
