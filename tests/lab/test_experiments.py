"""Experiments, each at a small scale: they run to their end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_POSTGRES = pytest.mark.needs("postgres", "initdb")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param("shared-rows --rows 5000 --rounds 1", "newest page", marks=_POSTGRES),
        pytest.param(
            "shared-week --rate 0.01 --days 2 --retention 1 --retention-normal 1",
            "written anew",
            marks=_POSTGRES,
        ),
        pytest.param(
            "rules-cost --applications 1 --replicas 1 --days 1 --rounds 1",
            "% of a core",
            marks=pytest.mark.prometheus,
        ),
    ],
)
def test_an_experiment_runs(arguments: str, said: str) -> None:
    """An experiment prints its result and no traceback; the speed does not matter here."""
    result = subprocess.run(
        [sys.executable, "-m", "lab", *arguments.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert said in result.stdout, result.stderr
    assert "Traceback" not in result.stderr
