"""The replay, held against promtool's own evaluation of the same rules over the same samples."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lab.alert_quality import by_event, rules, traffic
from lab.alert_quality.counters import EPOCH, MINUTE, SCRAPED, Replica
from lab.alert_quality.replay import Alarm, replay
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.server import Grid, Server
from lab.alert_quality.traffic import USUAL
from testkit.prometheus import promtool

_MINUTES = 100
_COMPARED = range(0, _MINUTES, 3)
_RULES = """
groups:
  - name: chain
    rules:
      - record: d:calls:increase5m
        expr: sum by (job, direction, fault_domain) (increase(bandwidth_voice_calls_total[5m]))
      - record: d:busy:increase5m
        expr: d:calls:increase5m{fault_domain!="none"} > 3
      - record: d:share:ratio5m
        expr: |
          d:calls:increase5m
          / on (job, direction) group_left () sum by (job, direction) (d:calls:increase5m)
      - record: d:share:avg20m
        expr: avg_over_time(d:share:ratio5m[20m])
        labels: {window: 20m}
      - alert: Busy
        expr: d:busy:increase5m
        for: 2m
        keep_firing_for: 3m
        labels: {severity: critical}
      - alert: Rising
        expr: |
          d:share:ratio5m{fault_domain!="none"} > ignoring (window) 1.2 * d:share:avg20m
          or d:busy:increase5m > 10
        labels: {severity: warning}
      - alert: Unreached
        expr: up == 0
      - alert: NotSimulated
        expr: bandwidth_voice_exporter_ledger_up == 0
"""


def _replica() -> Replica:
    starts = traffic.starts(60, 9, _MINUTES)
    failed = np.zeros(_MINUTES + 1, np.bool_)
    failed[40:43] = True
    return Replica("a:9000", by_event.ended(starts, [], 9, USUAL), failed)


def _selector(labels: dict[str, str]) -> str:
    pairs = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return f"{labels.get('__name__', '')}{{{pairs}}}"


def _input(series: Series) -> dict[str, str]:
    """A sample in each third place: scrapes 20 s before the evaluation, as in the replay."""
    at = dict(zip(((series.times - EPOCH) // MINUTE).tolist(), series.values.tolist(), strict=True))
    marks = [
        "_" if minute not in at else "stale" if math.isnan(at[minute]) else str(at[minute])
        for minute in range(_MINUTES)
    ]
    return {
        "series": _selector(dict(series.labels)),
        "values": " ".join(f"_ _ {mark}" for mark in marks),
    }


def _rounded(record: str) -> str:
    """Sums are added up in any order: their last digits are chance."""
    return f"round({record}, 1e-9)"


def _firing(alarms: tuple[Alarm, ...], alert: str, minute: int) -> list[dict[str, Any]]:
    return [
        {"exp_labels": {k: v for k, v in alarm.labels.items() if k != "alertname"}}
        for alarm in alarms
        if alarm.labels["alertname"] == alert
        and alarm.start <= minute + 0.5 < (math.inf if alarm.end is None else alarm.end)
    ]


@pytest.mark.prometheus
def test_replay_is_what_promtool_evaluates(tmp_path: Path) -> None:
    """Recorded values, vanishing series and alerts are, minute by minute, those of promtool."""
    file = tmp_path / "chain.rules.yml"
    file.write_text(_RULES)
    known = rules.load(file).about(SCRAPED)
    replica = _replica()
    with Server(tmp_path / "server") as server:
        server.write(replica.scraped())
        outcome = replay(server, known, _MINUTES)
        grid = Grid(EPOCH + 20_000, MINUTE, _MINUTES)
        recorded = {
            _rounded(rule.record): server.evaluate(_rounded(rule.record), grid)
            for rule in known.rules
            if rule.record
        }
    assert {alarm.labels["alertname"] for alarm in outcome.alarms} == {
        "Busy",
        "Rising",
        "Unreached",
    }
    cases = {
        "interval": "20s",
        "input_series": [_input(series) for series in replica.scraped()],
        "alert_rule_test": [
            {
                "eval_time": f"{minute + 1}m",
                "alertname": alert,
                "exp_alerts": _firing(outcome.alarms, alert, minute),
            }
            for alert in known.alerts()
            for minute in range(_MINUTES)
        ],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": f"{minute + 1}m",
                "exp_samples": [
                    {
                        "labels": _selector(dict(one.labels)),
                        "value": float(one.values[one.at == minute][0]),
                    }
                    for one in found
                    if minute in one.at
                ],
            }
            for expr, found in recorded.items()
            for minute in _COMPARED
        ],
    }
    test = tmp_path / "tests.yml"
    test.write_text(
        yaml.safe_dump({"rule_files": [file.name], "evaluation_interval": "1m", "tests": [cases]})
    )
    ran = promtool("test", "rules", str(test), timeout=120)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]


@pytest.mark.prometheus
def test_samples_are_stored_as_they_were(tmp_path: Path) -> None:
    """Every value comes back to the last bit, and a staleness marker comes back as a gap."""
    values = np.array([0.1, -1e300, 5e-324, math.inf, 3.0, STALE, 1 / 3])
    times = EPOCH + MINUTE * np.arange(values.size, dtype=np.int64)
    with Server(tmp_path) as server:
        server.write([Series({"__name__": "x", "a": 'quote " and é'}, times, values)])
        (found,) = server.evaluate("x", Grid(EPOCH, MINUTE, values.size + 20))
    assert found.labels == {"a": 'quote " and é'}
    # The last one is seen for five minutes more; what was declared gone is not seen at all.
    assert found.at.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert found.values[:6].tolist() == [0.1, -1e300, 5e-324, math.inf, 3.0, 1 / 3]


def test_rules_come_after_those_they_read(tmp_path: Path) -> None:
    """Rules are put in order, recordings that no alert needs and alerts on the unknown left out."""
    file = tmp_path / "some.rules.yml"
    groups = [
        {"record": "b:x:y", "expr": "a:x:y + 1"},
        {"record": "unused:x:y", "expr": "a:x:y"},
        {"record": "a:x:y", "expr": 'sum(up{job="b:x:y"})'},
        {"alert": "Known", "expr": "b:x:y > 1"},
        {"alert": "Unknown", "expr": "b:x:y > 1 and bandwidth_voice_exporter_ledger_up"},
    ]
    file.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": groups}]}))
    assert [rule.name for rule in rules.load(file).about(SCRAPED).rules] == [
        "a:x:y",
        "b:x:y",
        "Known",
    ]
