"""The limit that dashboards draw is where the alert on an hour begins, to about one call."""

import json
from math import log
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter.alerts import share, threshold
from bandwidth_voice_exporter.alerts.config import load
from bandwidth_voice_exporter.alerts.series import CALLS, DOMAIN
from bandwidth_voice_exporter.alerts.share import FAILURES
from testkit import prometheus as prom

CONFIG = load()
RISE = CONFIG.rise
AT = {"inbound": 1, "outbound": -1}  # calls above and below the limit
CASES = [
    (0.005, 12, 1.0),
    (0.005, 60, 1.0),
    (0.02, 200, 1.3),
    (0.005, 1800, 1.2),
    (0.15, 1800, 2.0),
    (0.005, 900_000, 6.0),
]


def sought(expected: float, calls: int, spread: float) -> float:
    """The least share at which the alert on an hour fires, found by halving."""
    usual, half = expected * calls, (RISE.zscore * spread) ** 2 / 2
    low, high = usual, 100 * (usual + half)
    for _ in range(200):
        middle = (low + high) / 2
        if middle * log(middle / usual) - middle + usual > half:
            high = middle
        else:
            low = middle
    return max(high / calls, RISE.least_calls / calls, expected + RISE.points)


def rules(directory: Path) -> Path:
    """A rule file with the limit, and the surprise that the alert compares."""
    wanted = {FAILURES.series("threshold1h"), FAILURES.series("score1h")}
    found = [
        {"record": rule.record, "expr": rule.expr}
        for rule in (*threshold.recordings(CONFIG), *share.recordings(FAILURES, "1h"))
        if rule.record in wanted
    ]
    assert len(found) == len(wanted)
    path = directory / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "threshold", "rules": found}]}))
    return path


@pytest.mark.prometheus
@pytest.mark.parametrize(("expected", "calls", "spread"), CASES)
def test_threshold_is_where_the_alert_begins(
    tmp_path: Path, expected: float, calls: int, spread: float
) -> None:
    """The alert on an hour fires one call above the drawn limit, and not one call below it."""
    limit = f"{FAILURES.series('threshold1h')}"
    given: dict[str, float] = {
        f'{FAILURES.series("expected1h")}{{@,fault_domain="application"}}': expected,
        f'{FAILURES.series("spread1h")}{{@,fault_domain="application"}}': spread,
        f"{CALLS.within('1h')}{{@}}": calls,
    }

    def evaluate(ratios: dict[str, float], expression: str, values: dict[str, float]) -> None:
        series = {
            name.replace("@", f'job="j",direction="{direction}"'): value
            for direction, ratio in ratios.items()
            for name, value in {
                **given,
                f'{FAILURES.series("ratio1h")}{{@,fault_domain="application"}}': ratio,
                f'{DOMAIN.within("1h")}{{@,fault_domain="application"}}': ratio * calls,
            }.items()
        }
        samples = [
            {"labels": f'{{job="j",direction="{direction}"}}', "value": value}
            for direction, value in values.items()
        ]
        test: dict[str, Any] = {
            "interval": "1m",
            "input_series": [
                {"series": name, "values": f"{value!r}x3"} for name, value in series.items()
            ],
            "promql_expr_test": [{"expr": expression, "eval_time": "3m", "exp_samples": samples}],
        }
        path = tmp_path / "test.json"
        path.write_text(json.dumps({"rule_files": [str(rules(tmp_path))], "tests": [test]}))
        result = prom.promtool("test", "rules", str(path))
        assert result.returncode == 0, result.stdout + result.stderr

    drawn = sought(expected, calls, spread)
    # The limit that Prometheus computes is the one sought, to a call.
    within = f"sum by (job, direction) (abs({limit} - {drawn!r}) * {calls} <= bool 1)"
    evaluate(dict.fromkeys(AT, expected), within, dict.fromkeys(AT, 1))
    fires = (
        f"sum by (job, direction) ("
        f"({FAILURES.series('ratio1h')} > bool {FAILURES.series('expected1h')} + {RISE.points})"
        f" * ({FAILURES.series('score1h')} > bool {RISE.zscore})"
        f" * ({DOMAIN.within('1h')} >= bool {RISE.least_calls}))"
    )
    ratios = {direction: drawn + beside / calls for direction, beside in AT.items()}
    evaluate(ratios, fires, {direction: float(beside > 0) for direction, beside in AT.items()})
