"""The clock, which somebody may set."""

import pytest

from bandwidth_voice_exporter.voice.clock import SECOND, Clock

HOUR = 3600 * SECOND


class Times:
    """A wall clock and one that nobody sets, both moved by hand (microseconds)."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_772_366_400 * SECOND, 7 * SECOND
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, span: int) -> None:
        """Let time go on."""
        self.wall += span
        self.steady += span


def test_it_holds_from_the_start_on() -> None:
    """A clock that nobody sets has held for as long as it is looked at."""
    times = Times()
    for _ in range(100):
        times.pass_by(60 * SECOND)
        assert times.clock() == times.wall
    assert times.clock.held() == 6000 * SECOND


@pytest.mark.parametrize("step", [300, -300, 9 * 86_400, -9 * 86_400, 6])
def test_it_holds_anew_once_it_was_set(step: int) -> None:
    """A watcher hears by how much the clock was set, and the time that it has held begins anew."""
    times = Times()
    heard: list[int] = []
    times.clock.on_step(heard.append)
    times.pass_by(HOUR)
    assert times.clock.held() == HOUR
    times.wall += step * SECOND
    assert times.clock() == times.wall
    assert times.clock.held() == 0
    times.pass_by(HOUR)
    assert times.clock.held() == HOUR
    assert heard == [step * SECOND]


def test_it_may_be_kept_right() -> None:
    """A clock that is slowed down or hurried, by a thousandth, is not set."""
    times = Times()
    for rate in (1001, 999):
        for _ in range(3600):
            times.steady += SECOND
            times.wall += rate * SECOND // 1000
            times.clock()
    assert times.clock.held() == 2 * HOUR
