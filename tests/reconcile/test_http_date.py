"""Times in the headers of Bandwidth's answers, whatever is in them."""

import pytest

from bandwidth_voice_exporter.reconcile.http_date import time_of, wait_of
from bandwidth_voice_exporter.voice import SECOND

NOON = "Sun, 01 Mar 2026 12:00:00 GMT"
LATER = "Sun, 01 Mar 2026 12:00:30 GMT"


def test_a_time() -> None:
    """A time is in microseconds."""
    assert time_of(NOON) == 1_772_366_400 * SECOND


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", NOON.replace("2026", "9" * 20)])
def test_no_time(text: str) -> None:
    """A text that is no time, or a time that no clock can show, gives None."""
    assert time_of(text) is None
    assert wait_of({"Retry-After": text}) is None


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("90", 90), (LATER, 30), (NOON, 0)])
def test_how_long_to_wait(text: str, seconds: float) -> None:
    """A time to wait for is one of the clock that answered, however wrong this machine's is."""
    assert wait_of({"Retry-After": text, "Date": NOON}) == seconds
