"""In which hours of a week missing calls are told, as Prometheus finds them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.alerts import flow
from bandwidth_voice_exporter.alerts.config import OfficeHours
from testkit import prometheus as prom
from testkit.alert_cases.settings import CONFIG

pytestmark = pytest.mark.prometheus

_WEEK = 7 * 24 * 2  # half hours


def is_open(hours: OfficeHours, at: datetime) -> bool:
    """Whether a span that begins on one of the days has this moment in it."""
    number = (hours.last_day - hours.first_day) % 7 + 1
    days = {(hours.first_day + day) % 7 for day in range(number)}
    length = hours.to_hour - hours.from_hour + 24 * (hours.to_hour < hours.from_hour)
    midnight = at.replace(hour=0, minute=0)
    begins = (midnight - timedelta(days=ago, hours=-hours.from_hour) for ago in (0, 1))
    return any(
        begin.isoweekday() % 7 in days and begin <= at < begin + timedelta(hours=length)
        for begin in begins
    )


@pytest.mark.parametrize(
    "hours",
    [(1, 5, 7, 19), (0, 6, 0, 24), (0, 4, 22, 7), (1, 5, 16, 2), (6, 3, 9, 17), (5, 0, 16, 0)],
)
def test_calls_are_missed_in_the_hours_alone(
    tmp_path: Path, hours: tuple[int, int, int, int]
) -> None:
    """Each half hour of a week is in them or not, past midnight and the week's end too."""
    office = OfficeHours(*hours)
    config = msgspec.structs.replace(CONFIG, office_hours=office)
    begin = datetime.fromtimestamp(0, UTC)  # at which promtool's tests begin
    open_at = [is_open(office, begin + timedelta(minutes=30 * step)) for step in range(_WEEK)]
    test = {
        "interval": "30m",
        "promql_expr_test": [
            {
                "expr": flow.in_hours("vector(1)", config),
                "eval_time": f"{30 * step}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if told else [],
            }
            for step, told in enumerate(open_at)
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    result = prom.promtool("test", "rules", str(file), timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
