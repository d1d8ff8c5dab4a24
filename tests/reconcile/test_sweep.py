"""The verdicts of a comparison on calls, and the calls that it leaves alone."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bandwidth_voice_exporter.ledger import FILE, StoreError
from bandwidth_voice_exporter.metrics import catalog, snapshot_of
from bandwidth_voice_exporter.reconcile import client as asking
from bandwidth_voice_exporter.reconcile import sweep, task
from bandwidth_voice_exporter.voice import SECOND
from testkit.bandwidth import NUMBER
from testkit.call_list import NAME, SECRET, CallList
from testkit.calls import ended_call, iso
from testkit.compared import Event, Site, Time, expected, moment, site

TOLD = 240
OUTAGE = moment(2)


class StopTestError(Exception):
    """Enough was seen."""


class World:
    """A list of calls, and the exporter beside it."""

    def __init__(self, directory: Path, listed: CallList, time: Time, ahead: timedelta) -> None:
        self.directory = directory
        self.listed = listed
        self.time = time
        self.ahead = ahead  # of Bandwidth's clock
        self.dice = random.Random(7)
        self.events: list[Event] = []

    def call(self, start: datetime, **fields: Any) -> Event:
        """A call of 30 seconds, in the list."""
        start += self.ahead
        times = {"startTime": iso(start), "endTime": iso(start + timedelta(seconds=30))}
        event = ended_call(self.dice) | times | {"direction": "inbound"}
        event.pop("answerTime", None)
        event |= fields
        self.listed.add(event)
        return event

    @asynccontextmanager
    async def exporter(self, *flags: str) -> AsyncIterator[Site]:
        """An exporter's life."""
        async with site(self.directory, self.listed, self.time, *flags) as one:
            yield one

    async def begin(self, exporter: Site) -> None:
        """Two hours in which webhooks tell of all calls, which are compared."""
        self.events = [self.call(moment(number / 120)) for number in range(TOLD)]
        self.time.now = datetime.fromisoformat(self.events[0]["endTime"]) - self.ahead
        assert await exporter.tell(self.events[0])
        self.time.now = OUTAGE
        assert all(await exporter.tell_all(self.events[1:]))
        self.time.now = OUTAGE + timedelta(minutes=15, seconds=1)
        assert await exporter.compare() == {"counted": TOLD - 1}  # the first began before


Scene = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Play a scene."""

    def played(scene: Scene, ahead: timedelta = timedelta(0)) -> None:
        time = Time(moment())
        with CallList(clock=lambda: time.date() + ahead) as listed:
            asyncio.run(scene(World(tmp_path, listed, time, ahead)))  # type: ignore[arg-type]  # a coroutine

    return played


def missed(world: World, number: int = 20) -> list[Event]:
    """Let there be calls that nobody tells of, and time go on."""
    world.time.now = OUTAGE + timedelta(minutes=30)
    return [world.call(OUTAGE + timedelta(minutes=1, seconds=n)) for n in range(number)]


def test_it_only_reports_unless_told_otherwise(play: Callable[..., None]) -> None:
    """By default missed calls are told with their time, and nothing is counted."""

    async def scene(world: World) -> None:
        async with world.exporter("--reconcile.record=false") as exporter:
            await world.begin(exporter)
            (first, *_) = missed(world)
            assert await exporter.compare() == {"missed": 20}
            assert exporter.totals() == expected(world.events)
            since = exporter.instruments.one(catalog.RECONCILE_MISSED_SINCE)
            assert since == datetime.fromisoformat(first["endTime"]).timestamp()
            assert await exporter.compare() == {}
            assert not exporter.tally.counts[catalog.RECONCILED_CALLS.name]

    play(scene)


def test_what_it_records_is_marked_and_is_no_event(play: Callable[..., None]) -> None:
    """A reconciled call is counted now, marked; last event and delay stay as they were."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            last = exporter.tally.last_events()
            delays = list(exporter.tally.histograms[catalog.DELAY.name][()].counts)
            events = missed(world)
            assert await exporter.compare() == {"recorded": 20}
            assert exporter.totals() == expected([*world.events, *events])
            assert exporter.tally.last_events() == last
            assert exporter.tally.histograms[catalog.DELAY.name][()].counts == delays
            reconciled = exporter.tally.counts[catalog.RECONCILED_CALLS.name]
            assert sum(count.value for count in reconciled.values()) == 20
            assert reconciled.keys() == exporter.tally.counts[catalog.CALLS.name].keys()

    play(scene)


def test_what_was_only_reported_can_be_counted_later(play: Callable[..., None]) -> None:
    """Missed calls that were only reported are counted, once, when that is asked for afterwards."""

    async def scene(world: World) -> None:
        async with world.exporter("--reconcile.record=false") as exporter:
            await world.begin(exporter)
            events = missed(world)
            assert await exporter.compare() == {"missed": 20}
            assert exporter.totals() == expected(world.events)
        world.time.now += timedelta(days=1)
        async with world.exporter() as exporter:
            assert await exporter.compare() == {"recorded": 20}
            assert exporter.totals() == expected([*world.events, *events])
            assert await exporter.compare() == {}
        async with world.exporter("--reconcile.record=false") as exporter:
            assert await exporter.compare() == {}

    play(scene)


def test_a_comparison_of_reported_calls_that_fails(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where counting reported calls later is cut short, the next comparison goes on with it."""
    monkeypatch.setattr(asking, "_FIRST_PAUSE", 0.001)

    async def scene(world: World) -> None:
        async with world.exporter("--reconcile.record=false") as exporter:
            await world.begin(exporter)
            events = missed(world)
            assert await exporter.compare() == {"missed": 20}
        async with world.exporter() as exporter:
            with monkeypatch.context() as patch:
                patch.setattr(type(exporter.ledger), "put_note", _fails)
                assert await exporter.fail() == "ledger"
            world.listed.faults = deque(["500"] * 6)
            assert await exporter.fail() == "server"
            world.listed.faults.clear()
            await exporter.compare()
            assert exporter.totals() == expected([*world.events, *events])

    play(scene)


def test_it_goes_on_after_a_restart(play: Callable[..., None]) -> None:
    """Another process compares what the last one did not, and folds what it recorded."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            events = missed(world)
            await exporter.compare()
            totals = exporter.totals()
            reconciled = exporter.tally.counts[catalog.RECONCILED_CALLS.name]
        later = [world.call(world.time.now - timedelta(minutes=1)) for _ in range(3)]
        world.time.now += timedelta(minutes=40)
        async with world.exporter() as exporter:
            assert exporter.totals() == totals
            assert exporter.tally.counts[catalog.RECONCILED_CALLS.name] == reconciled
            assert await exporter.compare() == {"recorded": 3}
            assert exporter.totals() == expected([*world.events, *events, *later])

    play(scene)


def test_what_ended_while_it_was_down_speaks_against_nobody(play: Callable[..., None]) -> None:
    """A few calls of a short time in which the exporter was down are missed, and no habit."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
        world.time.now += timedelta(minutes=5)
        for number in range(3):  # more than one in a hundred
            world.call(world.time.now - timedelta(minutes=2, seconds=number))
        async with world.exporter("--reconcile.settle=0s") as exporter:
            assert await exporter.compare() == {"recorded": 3}

    play(scene)


def test_failures_are_spread(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons that fail one after the other are further and further apart, up to an hour."""
    pauses: list[float] = []

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 6:
            raise StopTestError

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            (world.directory / "client").unlink()
            monkeypatch.setattr(task, "asyncio", SimpleNamespace(sleep=slept))
            with pytest.raises(StopTestError):
                await exporter.go_on()
            assert exporter.failures() == {"credentials": 6}

    play(scene)
    for pause, longest in zip(pauses[1:], (600, 1200, 2400, 3600, 3600, 3600), strict=True):
        assert 0.9 * longest <= pause <= longest


def test_a_call_that_goes_on_is_asked_for_again(play: Callable[..., None]) -> None:
    """A call that is open is counted after its end, and not before a webhook had its time."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            end = OUTAGE + timedelta(hours=1)
            lost = world.call(OUTAGE + timedelta(minutes=1), endTime=iso(end))
            told = world.call(OUTAGE + timedelta(minutes=2), endTime=iso(end))
            for minutes in (0, 59, 61):
                world.time.now = end + timedelta(minutes=minutes - 60)
                assert await exporter.compare() == {}
            assert await exporter.tell(told)
            assert await exporter.compare() == {}
            world.time.now = end + timedelta(minutes=20)
            assert await exporter.compare() == {"counted": 1, "recorded": 1}
            assert exporter.totals() == expected([*world.events, lost, told])

    play(scene)


@pytest.mark.parametrize("call_id", ["+1 555 123 4567", "a/b", ".."])
def test_a_call_that_goes_on_without_a_usable_id(play: Callable[..., None], call_id: str) -> None:
    """An open call whose id may not be kept, or not be asked for, is told, and not forgotten."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            world.time.now = OUTAGE + timedelta(minutes=30)
            end = iso(OUTAGE + timedelta(minutes=60))
            world.call(OUTAGE + timedelta(minutes=1), callId=call_id, endTime=end)
            assert await exporter.compare() == {"no_id": 1}
            world.time.now = OUTAGE + timedelta(minutes=90)
            assert await exporter.compare() == {}

    play(scene)


def test_rows_that_may_be_pruned_are_not_judged(play: Callable[..., None]) -> None:
    """A call from before the oldest row that is kept may have been counted: it is not again."""

    async def scene(world: World) -> None:
        flags = ("--storage.retention=3h", "--storage.retention-normal=3h")
        async with world.exporter(*flags) as exporter:
            await world.begin(exporter)
            missed(world)
            world.time.now += timedelta(hours=4)
            assert await exporter.compare() == {"pruned": 20}
            assert exporter.totals() == expected(world.events)

    play(scene)


def test_events_without_a_call_id_make_doubts(play: Callable[..., None]) -> None:
    """Where events came without a call id, a missed call may be one of them."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            (first, *others) = missed(world)
            nameless = {name: value for name, value in first.items() if name != "callId"}
            await exporter.tell(nameless)
            assert await exporter.compare() == {"doubted": 1 + len(others)}
            assert exporter.totals() == expected([*world.events, nameless])

    play(scene)


def test_after_a_damaged_ledger_it_only_reports(play: Callable[..., None]) -> None:
    """Calls that a ledger moved aside may hold are doubted, and not counted in the new one."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
        (world.directory / "data" / FILE).write_bytes(b"no ledger any more" * 1000)
        world.time.now = OUTAGE
        async with world.exporter() as exporter:
            doubted = datetime.now(world.time.now.tzinfo)
            # The new ledger's own clock is the machine's: what ended before may be in the old one.
            assert doubted > world.time.now
            await exporter.tell(world.call(OUTAGE))
            times = (OUTAGE + timedelta(minutes=2, seconds=number) for number in range(TOLD))
            await exporter.tell_all([world.call(start) for start in times])
            missed(world)
            verdicts = await exporter.compare()
            assert verdicts.pop("counted") >= TOLD
            assert verdicts == {"doubted": 20}

    play(scene)


def test_a_clock_that_differs(play: Callable[..., None]) -> None:
    """With Bandwidth's clock minutes off nothing is counted that a webhook tells of."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            events = missed(world)
            assert await exporter.compare() == {"recorded": 20}
            assert exporter.totals() == expected([*world.events, *events])

    play(scene, ahead=timedelta(minutes=-7))


def test_a_window_of_many_calls_is_halved(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a window has more calls than memory is to hold, shorter ones are asked for."""
    monkeypatch.setattr(sweep, "_MOST_LISTED", 70)

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            missed(world, 60)
            assert await exporter.compare() == {"recorded": 60}

    play(scene)


def test_a_note_that_is_lost(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were recorded but not noted are found again, and are counted once."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            events = missed(world)
            with monkeypatch.context() as patch:
                patch.setattr(type(exporter.ledger), "put_note", _fails)
                assert await exporter.fail() == "ledger"
            assert exporter.totals() == expected([*world.events, *events])
            assert await exporter.compare() == {"recorded": 20}
            assert exporter.totals() == expected([*world.events, *events])

    play(scene)


async def _fails(*_: object) -> None:
    raise StoreError("the disk is full")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("500", "server"), ("403", "forbidden"), ("401", "unauthorized"), ("half", "malformed")],
)
def test_a_failure_is_told_and_loses_nothing(
    play: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    reason: str,
) -> None:
    """A comparison that fails has one line and a reason; the next one finds all."""
    monkeypatch.setattr(asking, "_FIRST_PAUSE", 0.001)

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            missed(world)
            caplog.clear()
            world.listed.faults = deque([fault] * 6)
            assert await exporter.fail() == reason
            (line,) = (one for one in caplog.records if one.levelno == logging.WARNING)
            assert line.__dict__["fields"]["reason"] == reason
            world.listed.faults.clear()
            assert await exporter.compare() == {"recorded": 20}

    play(scene)


def test_a_page_that_comes_twice(play: Callable[..., None]) -> None:
    """Calls that the list gives twice are compared once."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            events = missed(world)
            world.listed.faults = deque(["twice"])
            assert await exporter.compare() == {"recorded": 20}
            assert exporter.totals() == expected([*world.events, *events])

    play(scene)


def test_what_nobody_asked_for_is_told(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Calls of which no webhook ever tells are named, with what would ask for them."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            parent = world.events[0]["callId"]
            for number in range(30):
                start = OUTAGE + timedelta(minutes=1, seconds=number)
                world.call(start, direction="outbound")
                world.call(start, direction="outbound", parentCallId=parent)
            world.time.now = OUTAGE + timedelta(minutes=30)
            assert await exporter.compare() == {"not_configured": 60}
            assert exporter.totals() == expected(world.events)
            ratios = exporter.instruments.by(catalog.RECONCILE_COVERAGE, "direction")
            assert ratios == {"inbound": 1.0, "outbound": 0.0, "transfer": 0.0}

    play(scene)
    told = [one.__dict__["fields"]["asked_by"] for one in caplog.records if "configured" in one.msg]
    assert told == ["disconnectUrl of the call", "transferDisconnectUrl of the Transfer"]


def test_nothing_personal_is_kept(
    play: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No number, name or secret of the list reaches the disk or the log."""
    caplog.set_level(logging.DEBUG, "bandwidth_voice_exporter")

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            message = f"to {NUMBER} failed"
            for number in range(20):
                start = OUTAGE + timedelta(minutes=1, seconds=number)
                world.call(start, cause="error", errorMessage=message)
            missed(world)
            assert await exporter.compare() == {"recorded": 40}

    play(scene)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert b"to *** failed" in kept
    fields = [str(one.__dict__.get("fields")) for one in caplog.records]
    for text in (NUMBER, NUMBER[2:], NAME, SECRET):
        assert text.encode() not in kept
        assert not any(text in line for line in fields)


@pytest.mark.parametrize(
    ("may_see", "queue"), [(True, {"waiting": 3.0, "capacity": 900.0}), (False, {})]
)
def test_bandwidths_queue(
    play: Callable[..., None], *, may_see: bool, queue: dict[str, float]
) -> None:
    """Bandwidth's queue is shown where the credentials allow; without it calls are compared too."""

    async def scene(world: World) -> None:
        world.listed.may_see_statistics = may_see
        async with world.exporter() as exporter:
            await world.begin(exporter)
            assert exporter.instruments.by(catalog.RECONCILE_QUEUE, "kind") == queue

    play(scene)


def test_a_queue_that_is_not_told(play: Callable[..., None]) -> None:
    """Where the queue's size cannot be had at present, nobody waits for it."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            succeeded = exporter.instruments.one(catalog.RECONCILE_SUCCESS)
            world.time.now += timedelta(minutes=1)
            world.listed.faults = deque(["", "429"])
            world.listed.retry_after = "500"
            async with asyncio.timeout(60):
                await exporter.compare()
            assert exporter.instruments.one(catalog.RECONCILE_SUCCESS) == succeeded + 60
            assert exporter.instruments.by(catalog.RECONCILE_QUEUE, "kind") == {}

    play(scene)


def test_new_series_are_at_0_first(play: Callable[..., None]) -> None:
    """With recording on, a scrape sees each series of reconciled calls at 0 at first."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await exporter.tell(world.call(moment()))
            shown = snapshot_of(exporter.tally, world.time() + 70 * SECOND, is_scrape=True).counts
            calls = {key for key, *_ in shown[catalog.CALLS.name]}
            reconciled = {key: value for key, value, _ in shown[catalog.RECONCILED_CALLS.name]}
            assert reconciled == dict.fromkeys(calls, 0)

    play(scene)


def test_a_leg_that_a_webhook_calls_otherwise(play: Callable[..., None]) -> None:
    """A call that a webhook told of as the other of the two events is not counted again."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            event = world.call(OUTAGE + timedelta(minutes=1), parentCallId="c-1")
            await exporter.tell(event)  # a disconnect
            world.time.now = OUTAGE + timedelta(minutes=30)
            assert await exporter.compare() == {"counted": 1}

    play(scene)


def test_more_than_seven_days(play: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    """The log tells of calls too old for the list, and a call that is still listed is compared."""

    async def scene(world: World) -> None:
        async with world.exporter() as exporter:
            await world.begin(exporter)
            missed(world)
            world.time.now = OUTAGE + timedelta(days=9)
            world.call(OUTAGE + timedelta(days=8))
            assert sum((await exporter.compare()).values()) == 1

    play(scene)
    assert any("7 days" in one.msg for one in caplog.records)
