"""What the status page makes of totals: minutes, delays, its picture."""

from collections import Counter
from itertools import pairwise

import pytest

from bandwidth_voice_exporter.metrics.instruments import REJECTIONS, Instruments
from bandwidth_voice_exporter.metrics.tally import Limits, Tally
from bandwidth_voice_exporter.ops import chart, formats, status
from bandwidth_voice_exporter.ops.history import MINUTE, MINUTES, History, Minute
from bandwidth_voice_exporter.ops.status import Kept
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.calls import APPLICATION

NOON = 1_772_366_400 * SECOND


class Clock:
    """A clock that is set by hand (microseconds)."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def count(tally: Tally, cause: str, number: int = 1) -> None:
    """Let calls end for a cause."""
    for key, series in tally.counts["bandwidth_voice_calls_total"].items():
        if key[2] == cause:
            series.value += number
            return
    raise AssertionError(cause)


def a_tally() -> Tally:
    """The tally of one application."""
    return Tally(Limits(applications=(APPLICATION,)), NOON)


def test_each_minute_has_what_came_in_it() -> None:
    """Totals looked at once a minute give every minute's calls, that of now included."""
    tally, clock = a_tally(), Clock()
    count(tally, "busy", 100)  # before the history begins
    history = History(tally, clock)
    for minute in range(3):
        clock.now = NOON + minute * MINUTE
        history.take()
        count(tally, "busy", minute + 1)
    minutes = history.minutes()
    assert len(minutes) == MINUTES
    assert [minute.causes for minute in minutes[-3:]] == [{"busy": n} for n in (1, 2, 3)]
    assert {minute.causes for minute in minutes[:-3]} == {None}
    assert all(later.number == one.number + 1 for one, later in pairwise(minutes))


def test_a_minute_begins_once() -> None:
    """A second look in the same minute takes nothing away from it."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    count(tally, "busy")
    history.take()
    count(tally, "busy")
    assert history.minutes()[-1].causes == {"busy": 2}


def test_after_an_hour_the_first_minute_goes() -> None:
    """The picture is of sixty minutes: what is older is not in it."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for minute in range(MINUTES + 5):
        clock.now = NOON + minute * MINUTE
        history.take()
        count(tally, "hangup")
    minutes = history.minutes()
    assert [minute.causes for minute in minutes] == [{"hangup": 1}] * MINUTES


def test_a_minute_that_was_slept_through_is_counted_before() -> None:
    """After a minute without a look its calls are in the one before, and it is not known."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    count(tally, "busy", 5)
    clock.now = NOON + 2 * MINUTE
    history.take()
    before, missed, now = history.minutes()[-3:]
    assert (before.causes, missed.causes, now.causes) == ({"busy": 5}, None, Counter())


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (1, 1), (3, 5), (6, 10), (10, 10), (11, 20), (501, 1000)]
)
def test_the_frame_ends_at_a_round_number(most: int, top: int) -> None:
    """The highest bar fits, under a number that is easily read."""
    drawn = chart.draw([Minute(1, {"busy": most})])
    assert drawn.top == top
    (bar,) = drawn.bars
    assert bar.failed_height == pytest.approx(chart.HEIGHT * most / top, abs=0.01)


def test_bars_stand_on_each_other() -> None:
    """Failed calls stand on the normal ones, and minutes that are not known are left out."""
    drawn = chart.draw([Minute(1, None), Minute(2, {"hangup": 6, "busy": 3, "error": 1})])
    (bar,) = drawn.bars
    assert (bar.normal, bar.failed, drawn.calls, drawn.failed, drawn.most) == (6, 4, 10, 4, 10)
    assert bar.normal_y + bar.normal_height == chart.HEIGHT
    assert bar.failed_y + bar.failed_height == pytest.approx(bar.normal_y)
    assert drawn.known_from == bar.x > 0


def test_delays_are_of_the_last_hour() -> None:
    """The delay card says within which bound half of the recent events came, not those before."""
    tally, clock = a_tally(), Clock()
    histogram = tally.histograms["bandwidth_voice_webhook_delay_seconds"][()]
    histogram.counts[0] += 1000
    history = History(tally, clock)
    histogram.counts[2] += 60  # within 0.5 s
    histogram.counts[-1] += 40  # over 300 s
    described = status.describe(
        now=NOON, tally=tally, history=history, counted=Instruments(), names={}, kept=Kept(1, 1)
    )
    assert described.delays == [(50, 0.5), (95, None), (99, None)]


def test_every_refusal_is_explained() -> None:
    """There is a sentence for each reason of the rejections' metric, and for no other."""
    assert set(status.MEANINGS) == set(REJECTIONS)


def test_refusals_come_with_their_last_time() -> None:
    """What was refused last stands first, with when that was."""
    counted = Instruments()
    for reason in ("path", "unauthorized", "path"):
        counted.rejected(reason)
    tally = a_tally()
    described = status.describe(
        now=NOON,
        tally=tally,
        history=History(tally),
        counted=counted,
        names={},
        kept=Kept(1, 1),
    )
    assert [(one.reason, one.count) for one in described.rejections] == [
        ("path", 2),
        ("unauthorized", 1),
    ]
    assert described.rejections[0].last >= described.rejections[1].last > NOON


def test_what_is_wrong_is_said() -> None:
    """A ledger that is down, one in memory, and files that cannot be used each have a warning."""
    tally, counted = a_tally(), Instruments()

    def warnings(kept: Kept | None) -> str:
        return " ".join(
            status.describe(
                now=NOON,
                tally=tally,
                history=History(tally),
                counted=counted,
                names={},
                kept=kept,
            ).warnings
        )

    counted.ledger.up.set(1)
    assert warnings(Kept(1, 1)) == ""
    assert "In memory only" in warnings(None)
    counted.ledger.up.set(0)
    assert "Not durable" in warnings(Kept(1, 1))
    counted.credentials_loaded.set(0)
    assert "credentials file cannot be used" in warnings(Kept(1, 1))
    counted.web_config_loaded.labels("ops").set(0)
    assert "of the ops listener cannot be used" in warnings(Kept(1, 1))


@pytest.mark.parametrize(
    ("micros", "written"),
    [(None, ""), (28_300_000, "28.3 s"), (125 * SECOND, "2:05 min"), (3725 * SECOND, "1:02:05 h")],
)
def test_a_duration_is_easily_read(micros: int | None, written: str) -> None:
    """Seconds are written with a tenth, minutes and hours with colons."""
    assert formats.span(micros) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(-5, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7200, "2 hours"), (604800, "7 days")],
)
def test_an_age_is_its_largest_unit(seconds: int, written: str) -> None:
    """An age is said in the largest unit that it has one of."""
    assert formats.age(seconds * SECOND) == written
