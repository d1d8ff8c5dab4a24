"""The report of the speed comparison, and its check for receivers that lose events."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.speed import events, load, report
from lab.speed.receivers import BARE, DISK, Running


def hot(**events_per_second: float) -> dict[str, Any]:
    """The figures of a section, as far as the targets look at them."""
    names = {"bare": BARE, "disk": DISK}
    figures = {
        names[name]: {"events_per_second": [value, value, value]}
        for name, value in events_per_second.items()
    }
    return {"hot": {"what": "x", "rounds": 1, "seconds": 1, "figures": figures}}


@pytest.mark.parametrize(
    ("disk", "expected"),
    [(50, "0.500, goal met"), (45, "0.450"), (41.99, "0.420"), (41.94, "0.419 **missed**")],
)
def test_targets(disk: float, expected: str) -> None:
    """A ratio says whether it is the goal, what must be, or less; as it is shown, so it counts."""
    row = report.TARGETS[0].row(hot(bare=100, disk=disk))
    assert row.endswith(f"| {expected} |")


@pytest.mark.parametrize(
    ("value", "expected"), [(1.5, "1.500, goal met"), (3, "3.000"), (3.01, "3.010 **missed**")]
)
def test_targets_that_are_limits(value: float, expected: str) -> None:
    """Where less is better, what is beyond the most is missed."""
    target = report.Target("x", 3, 1.5, lambda _: value, is_most=True)
    assert target.row({}) == f"| x | ≤ 3 | ≤ 1.5 | {expected} |"


def test_target_without_a_must_is_not_missed() -> None:
    """A ratio that is only reported says where it meets its goal, and else nothing."""
    target = report.Target("x", None, 1, lambda _: 0.1)
    assert target.row({}) == "| x |  | ≥ 1 | 0.100 |"


def test_what_was_not_measured() -> None:
    """A target without figures is shown without a result."""
    assert report.TARGETS[0].row({}).endswith("| not measured |")


def test_the_measured_ratios_are_documented() -> None:
    """The documented table of speed is that of the committed results with all that could be had."""
    table = report.targets(report.measured(report.RESULTS))
    assert table in (Path(__file__).parents[2] / "docs" / "speed.md").read_text("utf-8")
    missing = [line for line in table.splitlines() if "not measured" in line]
    assert all("json_exporter" in line for line in missing)  # whose module is served no more


class Counting(Running):
    """A receiver that says what it has counted."""

    def counted(self) -> int:
        return 105


@pytest.mark.parametrize(("answered", "is_right"), [(100, True), (106, False), (90, False)])
def test_counts_are_compared(
    answered: int,
    is_right: bool,  # noqa: FBT001  # a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A receiver must have counted all that it answered, and no more than that and what was cut."""
    monkeypatch.setattr(load, "_SETTLE_SECONDS", 0.7)
    receiver = Counting(1, "", "", "http", 0)
    if is_right:
        load.check(receiver, 0, answered, in_flight=8)
    else:
        with pytest.raises(load.CountError):
            load.check(receiver, 0, answered, in_flight=8)


def test_events(tmp_path: Path) -> None:
    """The bodies are JSON with their ids left open, of as many applications as asked for."""
    file = tmp_path / "bodies"
    events.write(file, applications=3)
    bodies = [json.loads(line) for line in file.read_text().splitlines()]
    assert {body["applicationId"] for body in bodies} == set(map(events.application, range(3)))
    assert {body["callId"] for body in bodies} == {events.CALL_ID}
    failed = [body for body in bodies if body["cause"] != "hangup"]
    assert 0.05 < len(failed) / len(bodies) < 0.2
    assert {body["errorId"] for body in failed} == {events.ERROR_ID}
