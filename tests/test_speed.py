"""What the comparison of speeds makes of its figures, and of a receiver that loses events."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import events, load, report
from benchmarks.speed.receivers import BARE, DISK, Running


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
    [(60, "0.60 (goal)"), (50, "0.50 (must)"), (44, "0.44 (**missed**)")],
)
def test_targets(disk: float, expected: str) -> None:
    """A ratio says whether it is the goal, what must be, or less."""
    row = report.TARGETS[0].row(hot(bare=100, disk=disk))
    assert row.endswith(f"| {expected} |")


def test_what_was_not_measured() -> None:
    """A target without figures is shown without a result."""
    assert report.TARGETS[0].row({}).endswith("| - |")


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
