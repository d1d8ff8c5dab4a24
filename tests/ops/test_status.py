"""The minutes, the delays and the picture that the status page makes of totals."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from bandwidth_voice_exporter.metrics import REJECTIONS, Instruments
from bandwidth_voice_exporter.metrics.minutes import MINUTE
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.ops import chart, formats, status
from bandwidth_voice_exporter.ops.comparison import Comparison
from bandwidth_voice_exporter.ops.history import MINUTES, History, Minute
from bandwidth_voice_exporter.ops.kept import Findable, Kept, findable
from bandwidth_voice_exporter.ops.rejections import MEANINGS
from bandwidth_voice_exporter.ops.status import Status
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.calls import APPLICATION

OTHER_APPLICATION = "11111111-7d42-4f8b-9c61-0e8f7b2d4a95"
NOON = 1_772_366_400 * SECOND


class Clock:
    """A clock that is set by hand (microseconds)."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def a_call(**fields: Any) -> CallEnded:
    """An inbound call that was busy, with other fields."""
    call: dict[str, Any] = dict.fromkeys(CallEnded.__struct_fields__)
    call |= {"application": APPLICATION, "event_type": "disconnect", "direction": "inbound"}
    call |= {"cause": "busy", "answered": False, "is_reconciled": False}
    return CallEnded(**(call | fields))


def fold(tally: Tally, cause: str, received: int, number: int = 1) -> None:
    """Let calls end for a cause, received at a time (microseconds)."""
    for _ in range(number):
        tally.fold(a_call(received=received, cause=cause))


def a_tally() -> Tally:
    """The tally of one application."""
    return Tally(Limits(applications=(APPLICATION,)), NOON)


def test_each_minute_has_what_came_in_it() -> None:
    """Calls are in the minute in which they were received, those of now included."""
    tally, clock = a_tally(), Clock()
    fold(tally, "busy", NOON - 5 * MINUTE, 100)  # before the history begins
    history = History(tally, clock)
    for minute in range(3):
        fold(tally, "busy", NOON + minute * MINUTE, minute + 1)
    clock.now = NOON + 2 * MINUTE
    minutes = history.minutes()
    assert len(minutes) == MINUTES
    assert [minute.causes for minute in minutes[-3:]] == [{"busy": n} for n in (1, 2, 3)]
    assert {minute.causes for minute in minutes[:-3]} == {None}
    assert all(later.number == one.number + 1 for one, later in pairwise(minutes))


def test_no_border_moves_a_call() -> None:
    """Over 1,000 borders each call is in its minute, be it received a microsecond off a border."""
    dice = random.Random(17)
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    wanted: Counter[int] = Counter()
    for border in range(NOON, NOON + 1000 * MINUTE, MINUTE):
        times = [dice.choice((-1, 0, 1, 1_000, -1_000, 30 * SECOND)) for _ in range(3)]
        for received in sorted(max(NOON, border + off) for off in times):
            fold(tally, "busy", received)
            wanted[received // MINUTE] += 1
        clock.now = border + 45 * SECOND
        shown = {minute.number: minute.causes for minute in history.minutes()}
        since = NOON // MINUTE
        for number in range(max(since, clock.now // MINUTE - MINUTES + 1), clock.now // MINUTE + 1):
            assert shown[number] == ({"busy": wanted[number]} if wanted[number] else {})
    assert len(wanted) > 900


@pytest.mark.parametrize("off", [-2 * SECOND, -1, 0, 1, 70 * SECOND], ids="{} us".format)
def test_whenever_it_is_looked_at(off: int) -> None:
    """A look before a border, at it or long after it changes nothing about the minutes before."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for minute in range(10):
        fold(tally, "busy", NOON + minute * MINUTE + 7, minute + 1)
        clock.now = NOON + (minute + 1) * MINUTE + off
        history.minutes()
    clock.now = NOON + 9 * MINUTE
    assert [minute.causes for minute in history.minutes()[-10:]] == [
        {"busy": n} for n in range(1, 11)
    ]


def test_a_quiet_minute_is_known() -> None:
    """A minute without a call since the start has none, whether or not one came after it."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    fold(tally, "busy", NOON, 5)
    clock.now = NOON + 2 * MINUTE
    assert [minute.causes for minute in history.minutes()[-3:]] == [{"busy": 5}, {}, {}]
    fold(tally, "busy", clock.now)
    assert [minute.causes for minute in history.minutes()[-3:]] == [{"busy": 5}, {}, {"busy": 1}]


def test_a_clock_set_back_adds_to_the_minutes_that_were() -> None:
    """A minute that comes a second time has the calls of both, and no other loses one."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for minute in (0, 1, 2, 1, 2):
        fold(tally, "busy", NOON + minute * MINUTE, 3)
    clock.now = NOON + 2 * MINUTE
    assert [minute.causes for minute in history.minutes()[-3:]] == [
        {"busy": 3},
        {"busy": 6},
        {"busy": 6},
    ]
    fold(tally, "busy", NOON - 7 * MINUTE)  # before the start, by a clock set back
    clock.now = NOON - 7 * MINUTE
    assert history.minutes()[-1].causes == {"busy": 1}


def test_a_clock_that_jumps_and_returns_loses_nothing() -> None:
    """Four seconds nine days ahead take no minute off the picture."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for minute in range(30):
        fold(tally, "busy", NOON + minute * MINUTE)
    clock.now = NOON + 9 * 24 * 60 * MINUTE
    fold(tally, "error", clock.now)
    assert history.minutes()[-1].causes == {"error": 1}
    assert history.minutes()[0].causes == {}
    clock.now = NOON + 29 * MINUTE
    fold(tally, "busy", clock.now)
    causes = [minute.causes for minute in history.minutes()[-30:]]
    assert causes == [{"busy": 1}] * 29 + [{"busy": 2}]


def test_what_is_remembered_is_bounded() -> None:
    """A clock that never comes to the same minute again fills no memory."""
    tally = a_tally()
    History(tally, Clock())
    for minute in range(500):
        fold(tally, "busy", NOON + 7 * minute * MINUTE)
    assert len(tally.minutes()) < 200


def test_after_an_hour_the_first_minute_goes() -> None:
    """The picture is of sixty minutes: what is older is not in it."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for minute in range(MINUTES + 5):
        clock.now = NOON + minute * MINUTE
        fold(tally, "hangup", clock.now)
    minutes = history.minutes()
    assert [minute.causes for minute in minutes] == [{"hangup": 1}] * MINUTES


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (1, 1), (3, 3), (7, 8), (9, 10), (10, 10), (11, 20), (101, 200), (501, 600)],
)
def test_the_frame_ends_at_a_round_number(most: int, top: int) -> None:
    """The highest bar fits, under a number that is easily read."""
    drawn = chart.draw([Minute(1, {"busy": most})])
    assert drawn.top == top
    (bar,) = drawn.bars
    assert bar.failed_height == pytest.approx(chart.HEIGHT * most / top, abs=0.01)


@pytest.mark.parametrize(("most", "middle"), [(1, None), (3, None), (4, 2), (600, 300)])
def test_half_way_up_is_a_whole_number(most: int, middle: int | None) -> None:
    """The axis names what is half-way up only where that can be a number of calls."""
    assert chart.draw([Minute(1, {"busy": most})]).middle == middle


def test_quarters_of_an_hour_stand_under_the_bars() -> None:
    """Each quarter of an hour is marked where its minute's bar begins."""
    first = NOON // MINUTE + 7
    drawn = chart.draw([Minute(first + index, {}) for index in range(MINUTES)])
    assert [formats.clock(tick.at)[:5] for tick in drawn.ticks] == [
        "12:15",
        "12:30",
        "12:45",
        "13:00",
    ]
    assert [tick.x for tick in drawn.ticks] == [drawn.bars[index].x for index in (8, 23, 38, 53)]
    assert drawn.ticks[0].percent == pytest.approx(100 * 8 / MINUTES)


def described(tally: Tally, **more: Any) -> status.Status:
    """Return what the page says of a tally."""
    history = History(tally, Clock())
    values: dict[str, Any] = {"instruments": Instruments(), "names": {}, "kept": Kept(1, 1)}
    return status.describe(now=NOON, tally=tally, history=history, **(values | more))


def test_applications_do_not_hop() -> None:
    """Those with most failures are first, then by name, whichever was heard of last."""
    names = {APPLICATION: "support", OTHER_APPLICATION: "dialler"}
    tally = Tally(Limits(applications=tuple(names), max_applications=1), NOON)
    for identifier, cause in (
        (OTHER_APPLICATION, "hangup"),
        (APPLICATION, "hangup"),
        ("00000000-7d42-4f8b-9c61-0e8f7b2d4a95", "busy"),
        ("00000001-7d42-4f8b-9c61-0e8f7b2d4a95", "busy"),
        ("00000002-7d42-4f8b-9c61-0e8f7b2d4a95", "busy"),
        (OTHER_APPLICATION, "hangup"),
    ):
        tally.fold(a_call(received=NOON, application=identifier, cause=cause))
    shown = described(tally, names=names).applications
    assert [(one.name[:8], one.is_one, one.calls, one.failed) for one in shown] == [
        ("other", False, 2, 2),
        ("00000000", True, 1, 1),
        ("dialler", True, 2, 0),
        ("support", True, 1, 0),
    ]


def test_numbers_in_names_are_numbers() -> None:
    """Of names that differ by a number the smaller one is first."""
    names = ("app10", "App4", "app1", "app", "4", "app4b", "10")
    assert sorted(names, key=formats.natural) == [
        "4",
        "10",
        "app",
        "app1",
        "App4",
        "app4b",
        "app10",
    ]


@pytest.mark.parametrize(
    ("causes", "number"),
    [
        (("hangup",), 0),
        (("busy", "cancel", "timeout", "rejected"), 0),
        (("glare", "missing"), 0),
        (("busy", "callback-error", "account-limit", "node-capacity-exceeded", "unknown"), 4),
    ],
)
def test_what_somebody_must_act_on(causes: tuple[str, ...], number: int) -> None:
    """Failures of the application, the account and Bandwidth count, those of people do not."""
    tally, clock = a_tally(), Clock()
    history = History(tally, clock)
    for cause in causes:
        fold(tally, cause, NOON)
    assert (
        status.describe(
            now=NOON, tally=tally, history=history, instruments=Instruments(), names={}, kept=None
        ).to_act_on
        == number
    )


def test_until_when_calls_are_found() -> None:
    """It is their time, or shorter where the ledger's size took them first."""
    counted = Instruments()
    day = 86_400 * SECOND
    kept = Kept(failures=7 * 86_400, normal=86_400)
    assert findable(kept, counted, NOON) == Findable(NOON - 7 * day, NOON - day, are_cut=False)
    counted.ledger.pruned("normal", 5, NOON - day)
    assert findable(kept, counted, NOON) == Findable(NOON - 7 * day, NOON - day, are_cut=False)
    counted.ledger.pruned("normal", 5, NOON - day // 2)
    assert findable(kept, counted, NOON) == Findable(NOON - 7 * day, NOON - day // 2, are_cut=True)


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
    tally.fold(a_call(received=NOON, delay=0))
    history = History(tally, clock)
    for _ in range(1000):
        tally.fold(a_call(received=NOON, delay=0))
    for minute in range(1, 11):
        at = NOON + minute * MINUTE
        for delay in [400_000] * 6 + [301 * SECOND] * 4:
            tally.fold(a_call(received=at, delay=delay, event_type="transferDisconnect"))
    clock.now = NOON + MINUTES * MINUTE
    described = status.describe(
        now=NOON, tally=tally, history=history, instruments=Instruments(), names={}, kept=Kept(1, 1)
    )
    assert described.delays == [(50, 0.5), (95, None), (99, None)]


def test_every_refusal_is_explained() -> None:
    """There is a sentence for each reason of the rejections' metric, and for no other."""
    assert set(MEANINGS) == set(REJECTIONS)


def test_refusals_come_with_their_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last refusal stands first, with its time, though the clock stood still or went back."""
    times = iter((NOON, NOON, NOON - SECOND))
    monkeypatch.setattr("bandwidth_voice_exporter.metrics.instruments.now", lambda: next(times))
    counted = Instruments()
    counted.rejected("path")
    counted.rejected("unauthorized")
    counted.rejected("path")
    tally = a_tally()
    described = status.describe(
        now=NOON,
        tally=tally,
        history=History(tally),
        instruments=counted,
        names={},
        kept=Kept(1, 1),
    )
    assert [(one.reason, one.count, one.last) for one in described.rejections] == [
        ("path", 2, NOON - SECOND),
        ("unauthorized", 1, NOON),
    ]


def page_of(instruments: Instruments) -> Status:
    """Return what the page says of these instruments, with a ledger that is up."""
    instruments.ledger.up.set(1)
    tally = a_tally()
    return status.describe(
        now=NOON,
        tally=tally,
        history=History(tally),
        instruments=instruments,
        names={},
        kept=Kept(1, 1),
    )


def test_questions_that_are_answered_are_no_refusals() -> None:
    """Requests without credentials that are each followed by their event are nobody's matter."""
    now = 0.0
    counted = Instruments(lambda: now)
    for _ in range(500):
        counted.rejected("unauthenticated")
        now += 10
        counted.event("disconnect", "counted", [])
    page = page_of(counted)
    assert (page.rejections, page.questions, page.warnings) == ([], 500, ())
    assert page.unfollowed == 0


def test_questions_without_an_event_of_their_own_are_told() -> None:
    """Where one application has credentials and another none, the surplus of questions shows it."""
    counted = Instruments()
    for _ in range(20):
        counted.event("disconnect", "counted", [])
        for _ in range(3):  # its own, and two of the application without
            counted.rejected("unauthenticated")
    page = page_of(counted)
    assert (page.questions, page.unfollowed) == (60, 40)


def test_questions_that_nobody_answers_are_warned_of() -> None:
    """Five requests without credentials over a minute, and none with them: somebody must act."""
    now = 0.0
    counted = Instruments(lambda: now)
    counted.event("disconnect", "counted", [])
    for number in range(5):
        assert page_of(counted).warnings == (), number
        counted.rejected("unauthenticated")
        now += 15
    page = page_of(counted)
    [warning] = page.warnings
    assert "without credentials" in warning
    assert [(one.reason, one.count) for one in page.rejections] == [("unauthenticated", 5)]
    counted.event("disconnect", "counted", [])
    assert page_of(counted).warnings == ()


def test_a_burst_of_questions_is_given_time() -> None:
    """Many events that ask at once are no reason for a warning before they can come again."""
    counted = Instruments(lambda: 0.0)
    for _ in range(500):
        counted.rejected("unauthenticated")
    assert page_of(counted).warnings == ()


def test_a_first_question_is_shown() -> None:
    """Before any event has come, who tries without credentials sees why nothing arrives."""
    counted = Instruments()
    counted.rejected("unauthenticated")
    assert [one.reason for one in page_of(counted).rejections] == ["unauthenticated"]


def test_what_is_wrong_is_said() -> None:
    """A ledger that is down, one in memory, and files that cannot be used each have a warning."""
    tally, counted = a_tally(), Instruments()

    def warnings(kept: Kept | None) -> str:
        return " ".join(
            status.describe(
                now=NOON,
                tally=tally,
                history=History(tally),
                instruments=counted,
                names={},
                kept=kept,
            ).warnings
        )

    counted.ledger.up.set(1)
    assert warnings(Kept(1, 1)) == ""
    assert "In memory only" in warnings(None)
    counted.ledger.up.set(0)
    assert "Not durable" in warnings(Kept(1, 1))
    counted.ledger.wal_held.set(1)
    counted.ledger.wal_bytes.set(3 * 1024**3)
    assert "write-ahead log is 3.0 GiB long" in warnings(Kept(1, 1))
    counted.ledger.filesystem_unknown.set(1)
    assert "file system that is not known" in warnings(Kept(1, 1))
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


@pytest.mark.parametrize(
    ("number", "what", "written"),
    [(0, "call", "0 calls"), (1, "call", "1 call"), (1234, "delivery", "1,234 deliveries")],
)
def test_one_is_not_many(number: int, what: str, written: str) -> None:
    """A number and what it is of agree."""
    assert formats.many(number, what) == written


def test_nothing_is_said_of_a_list_that_nobody_asks_for() -> None:
    """Without reconciliation the page has no word of it."""
    assert described(a_tally(), instruments=Instruments()).comparison is None


def test_what_the_list_says_is_told() -> None:
    """The page has a comparison's numbers, and warns of missed calls and uncovered directions."""
    counted = Instruments()
    counted.reconcile.bear()
    for verdict, number in (("counted", 1204), ("missed", 3), ("recorded", 2), ("too_few", 4)):
        counted.reconcile.calls.labels(verdict).inc(number)
    counted.reconcile.coverage.labels("support", "inbound").set(1)
    counted.reconcile.coverage.labels("support", "outbound").set(0.4)
    counted.reconcile.success.set(NOON / SECOND)
    found = described(a_tally(), instruments=counted)
    assert found.comparison == Comparison(
        last=NOON,
        before=0,
        listed=1213,
        counted=1204,
        recorded=2,
        missed=3,
        others=4,
        uncovered=["support outbound"],
        failing="",
    )
    assert any("missed 3 calls" in warning for warning in found.warnings)
    assert any("support outbound" in warning for warning in found.warnings)


def test_a_list_that_cannot_be_asked_is_warned_of() -> None:
    """While comparisons fail the page says so with the reason, and no longer once one succeeds."""
    counted = Instruments()
    counted.reconcile.bear()
    counted.reconcile.ended("token")
    (warning,) = (
        one for one in described(a_tally(), instruments=counted).warnings if "list" in one
    )
    assert "(token)" in warning
    counted.reconcile.ended("")
    assert warning not in described(a_tally(), instruments=counted).warnings
