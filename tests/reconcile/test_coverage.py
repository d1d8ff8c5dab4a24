"""The distinction between missed calls and calls of which no webhook was to tell."""

import random

import pytest

from bandwidth_voice_exporter.reconcile.coverage import Coverage
from bandwidth_voice_exporter.reconcile.notes import Notes, decoded, encoded
from bandwidth_voice_exporter.voice import SECOND

KEY, OTHER = ("app", "inbound"), ("app", "outbound")
DAY = 24 * 3600 * SECOND
START = 20_000 * DAY


def at(place: int) -> int:
    """A time that is told apart from others."""
    return START + 10 * place * SECOND


def filled(counted: int, missed: int = 0, key: tuple[str, str] = KEY) -> Coverage:
    """Calls of a kind, those that were missed spread among the others."""
    coverage = Coverage()
    for number in range(counted):
        coverage.put(key, at(2 * number), is_counted=True)
        if number < missed:
            coverage.put(key, at(2 * number + 1), is_counted=False)
    coverage.put(key, at(2 * counted), is_counted=True)
    return coverage


@pytest.mark.parametrize(
    ("counted", "missed", "verdict"),
    [
        (98, 0, "too_few"),
        (99, 0, "missed"),
        (98, 1, "missed"),
        (197, 2, "missed"),
        (197, 3, "partial"),
        (50, 50, "partial"),
    ],
)
def test_a_share_of_enough_calls(counted: int, missed: int, verdict: str) -> None:
    """Of a hundred calls or more webhooks must have told of 99 %, or a missed one is not lost."""
    assert filled(counted, missed).verdicts()[KEY] == verdict


def test_nothing_ever_came() -> None:
    """Calls of which none was told are not asked for, once they are more than a few."""
    coverage = filled(200)
    for number in range(19):
        coverage.put(OTHER, at(number), is_counted=False)
    assert coverage.verdicts()[OTHER] == "too_few"
    coverage.put(OTHER, START + 19, is_counted=False)
    assert coverage.verdicts()[OTHER] == "not_configured"
    assert coverage.verdicts()[KEY] == "missed"


def test_an_outage_speaks_against_nobody() -> None:
    """Five missed calls in a row or more are an outage; what ended in it is missed, not a habit."""
    coverage = filled(200)
    for number in range(80):
        coverage.put(KEY, at(1000 + number), is_counted=False)
    coverage.put(KEY, at(2000), is_counted=True)
    assert coverage.verdicts()[KEY] == "missed"


def test_an_outage_is_known_by_its_times_alone() -> None:
    """Calls that are listed late, or out of order, make the same outage."""
    calls = [(KEY, at(number), True) for number in range(200)]
    calls += [(KEY, at(1000 + number), False) for number in range(30)]
    calls += [(KEY, at(2000 + number), True) for number in range(200)]
    random.Random(3).shuffle(calls)
    coverage = Coverage()
    coverage.put(KEY, at(0), is_counted=True)
    for key, end, is_counted in calls:
        coverage.put(key, end, is_counted=is_counted)
    assert coverage.verdicts() == {KEY: "missed"}


def test_a_known_outage_speaks_against_nobody() -> None:
    """Calls that ended in a known outage do not count against their kind, however few they are."""
    coverage = filled(200)
    for number in range(4):
        coverage.put(KEY, at(1000 + number), is_counted=False)
    coverage.put(KEY, at(1100), is_counted=True)
    assert coverage.verdicts()[KEY] == "partial"
    coverage.outage(at(990), at(1010))
    assert coverage.verdicts()[KEY] == "missed"


def test_a_kind_that_is_often_missed_is_held_in_few_bytes() -> None:
    """Of a kind of which most calls are not told, it is kept how many, not when."""
    coverage = filled(200)
    for number in range(5000):
        coverage.put(KEY, at(1000 + 3 * number), is_counted=False)
        coverage.put(OTHER, at(1001 + 3 * number), is_counted=True)
    assert coverage.verdicts() == {KEY: "partial", OTHER: "missed"}
    assert len(encoded(Notes(mark=0, alive=0, coverage=coverage))) < 100_000


def test_a_long_outage_of_many_calls() -> None:
    """An outage of more calls than are kept by their time is one outage all the same."""
    coverage = filled(200)
    for number in range(20_000):
        coverage.put(KEY, at(1000) + number * SECOND, is_counted=False)
        coverage.put(OTHER, at(1000) + number * SECOND, is_counted=False)
    for number in range(30_000):
        coverage.put(KEY, at(5000) + number * SECOND, is_counted=True)
    assert coverage.verdicts() == {KEY: "missed", OTHER: "not_configured"}


def test_what_is_told_of_rarely_has_no_outages() -> None:
    """Where one call in a hundred is told of, the others between are no outages."""
    coverage = Coverage()
    for number in range(20_000):
        coverage.put(KEY, at(number), is_counted=number % 100 == 0)
    assert coverage.verdicts() == {KEY: "partial"}


def test_others_that_come_meanwhile_are_no_outage() -> None:
    """Where one kind is told of and the other is not any more, nothing is down."""
    coverage = filled(200)
    for number in range(200):
        coverage.put(OTHER, at(number), is_counted=True)
    for number in range(80):
        coverage.put(OTHER, at(1000 + number), is_counted=False)
        coverage.put(KEY, at(1000 + number), is_counted=True)
    assert coverage.verdicts()[OTHER] == "partial"
    assert coverage.verdicts()[KEY] == "missed"


def test_what_nobody_asked_for_makes_no_outage() -> None:
    """Many calls that are never told of do not hide that single ones of another kind are missed."""
    coverage = filled(200)
    for number in range(60):
        first = 1000 + 100 * number
        for other in range(20):
            coverage.put(OTHER, at(first + other), is_counted=False)
        coverage.put(KEY, at(first + 50), is_counted=False)
        coverage.put(KEY, at(first + 60), is_counted=True)
    assert coverage.verdicts()[KEY] == "partial"


def test_what_came_before_it_was_asked_for() -> None:
    """Once Bandwidth is told to send a kind, the calls before do not count against it."""
    coverage = Coverage()
    for number in range(500):
        coverage.put(KEY, at(number), is_counted=False)
    for number in range(150):
        coverage.put(KEY, at(1000 + number), is_counted=True)
    assert coverage.verdicts()[KEY] == "missed"


def test_seven_days_are_remembered() -> None:
    """After a week a mistake that was mended is forgotten."""
    coverage = filled(150, 100)
    for number in range(150):
        coverage.put(KEY, at(number) + 8 * DAY, is_counted=True)
    assert coverage.verdicts()[KEY] == "partial"
    coverage.forget(START + 8 * DAY)
    assert coverage.verdicts()[KEY] == "missed"


def test_it_is_kept_whole() -> None:
    """Notes are decoded as they were encoded, with a silence that goes on; others give None."""
    coverage = filled(150, 3)
    for number in range(7):
        coverage.put(KEY, at(1000 + number), is_counted=False)
    coverage.outage(START, START + 5)
    notes = Notes(mark=START, alive=START, open=["c-1"], coverage=coverage)
    assert decoded(encoded(notes)) == notes
    assert decoded(b"of another version") is None
