"""When an alert fires, worked out by the benchmark and by promtool."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lab.alert_quality import states
from lab.alert_quality.states import Firing
from testkit.prometheus import promtool

_MINUTES = 120
_HOLDS = ((0, 0), (1, 0), (2, 5), (5, 5), (0, 3), (15, 1))  # `for` and `keep_firing_for`, minutes


def _on(seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.25, _MINUTES)
    return np.repeat(np.arange(lengths.size) % 2 == 0, lengths)[:_MINUTES]


def _firing_minutes(found: list[Firing]) -> set[int]:
    return {
        minute
        for one in found
        for minute in range(one.start, _MINUTES if one.end is None else one.end)
    }


def _unit_test(seed: int, shift: int = 0) -> dict[str, Any]:
    """Promtool's test of each combination at each minute; wrong if the shift is not 0."""
    on = _on(seed)
    expected = {
        (hold, keep): _firing_minutes(
            states.firings(
                np.flatnonzero(on), _MINUTES, hold=60.0 * hold, keep=60.0 * keep, interval=60.0
            )
        )
        for hold, keep in _HOLDS
    }
    return {
        "interval": "1m",
        "input_series": [
            {"series": "active", "values": " ".join("1" if one else "0" for one in on)}
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": f"For{hold}Keep{keep}",
                "exp_alerts": [{"exp_labels": {}}] if minute - shift in firing else [],
            }
            for (hold, keep), firing in expected.items()
            for minute in range(_MINUTES)
        ],
    }


def _complaints(directory: Path, tests: list[dict[str, Any]]) -> str:
    rules = [
        {
            "alert": f"For{hold}Keep{keep}",
            "expr": "active == 1",
            "for": f"{hold}m",
            "keep_firing_for": f"{keep}m",
        }
        for hold, keep in _HOLDS
    ]
    (directory / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]})
    )
    file = directory / "tests.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests})
    )
    ran = promtool("test", "rules", str(file), timeout=120)
    assert "parse error" not in ran.stdout + ran.stderr
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.prometheus
def test_states_are_those_of_prometheus(tmp_path: Path) -> None:
    """`for` and `keep_firing_for` make of a flickering condition what promtool makes of it."""
    assert not _complaints(tmp_path, [_unit_test(seed) for seed in range(4)])


@pytest.mark.prometheus
def test_promtool_would_tell_a_minute_apart(tmp_path: Path) -> None:
    """The comparison with promtool notices a state that is a minute late."""
    assert "alertname" in _complaints(tmp_path, [_unit_test(0, shift=1)])


def test_still_firing_has_no_end() -> None:
    """An alert that fires at the last evaluation, or is kept firing then, has no end."""
    found = states.firings(np.array([3, 4, 5]), 8, hold=60, keep=300, interval=60)
    assert found == [Firing(4, None)]
