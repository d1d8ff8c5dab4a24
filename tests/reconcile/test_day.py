"""A day of which webhooks miss some: after it all that is to be counted is counted, once."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bandwidth_voice_exporter.metrics import catalog
from testkit.call_list import CallList
from testkit.calls import iso
from testkit.compared import Event, Time, expected, moment, site

# Down for an hour, its network cut, its certificate expired.
OUTAGES = (
    (moment(10), moment(11)),
    (moment(14), moment(14.1)),
    (moment(20), moment(20.1)),
)
DOWN = OUTAGES[0]
FULL = "11111111-7d42-4f8b-9c61-0e8f7b2d4a95"
INBOUND_ALONE = "22222222-7d42-4f8b-9c61-0e8f7b2d4a95"  # its outbound calls have no disconnectUrl
SOMETIMES = "33333333-7d42-4f8b-9c61-0e8f7b2d4a95"  # one service of two asks for webhooks
CAUSES = ("hangup",) * 8 + ("busy", "timeout", "error", "callback-error")
CALLS, SOAK_CALLS = 2_000, 50_000
_STEP = timedelta(minutes=90)


def the_call(dice: random.Random, start: datetime) -> Event:
    """One call of the account, some of them second legs."""
    application = dice.choices((FULL, INBOUND_ALONE, SOMETIMES), (6, 2, 1))[0]
    end = start + timedelta(milliseconds=dice.randrange(1, 600_000))
    cause = dice.choice(CAUSES)
    event = {
        "eventType": "disconnect",
        "applicationId": application,
        "callId": f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}",
        "direction": dice.choice(("inbound", "outbound")),
        "cause": cause,
        "startTime": iso(start),
        "endTime": iso(end),
    }
    if dice.random() < 0.7:
        event["answerTime"] = iso(start + (end - start) * dice.random())
    if dice.random() < 0.1:
        event["enqueuedTime"] = iso(start - timedelta(seconds=dice.randrange(60)))
    if cause != "hangup":
        event |= {"errorId": str(uuid.UUID(bytes=dice.randbytes(16))), "errorMessage": "no"}
    if application == FULL and dice.random() < 0.25:
        parent = f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}"
        event |= {
            "eventType": "transferDisconnect",
            "parentCallId": parent,
            "direction": "outbound",
        }
    return event


def is_asked_for(event: Event, dice: random.Random) -> bool:
    """Whether Bandwidth sends a webhook of a call."""
    if event["applicationId"] == INBOUND_ALONE:
        return bool(event["direction"] == "inbound")
    return event["applicationId"] != SOMETIMES or dice.random() < 0.6


def ends(event: Event) -> datetime:
    """When a call ends."""
    return datetime.fromisoformat(event["endTime"])


def is_in(moment_: datetime, outages: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether a webhook finds nobody."""
    return any(since <= moment_ < until for since, until in outages)


class Day:
    """Calls, those that webhooks tell of, and those that are to be counted in the end."""

    def __init__(self, number: int) -> None:
        dice = random.Random(number)
        starts = sorted(moment(24 * dice.random()) for _ in range(number))
        # The first call is where comparing begins.
        self.events = sorted((the_call(dice, start) for start in starts), key=ends)
        asked = [event for event in self.events if is_asked_for(event, dice)]
        self.told = [event for event in asked if not is_in(ends(event), OUTAGES)]
        first = ends(self.told[0])
        self.to_count = self.told + [
            event
            for event in asked
            if is_in(ends(event), OUTAGES)
            and event["applicationId"] != SOMETIMES
            and datetime.fromisoformat(event["startTime"]) >= first
        ]
        self.dice = dice


async def live(day: Day, directory: Path, listed: CallList, time: Time) -> None:
    """Live through the day, with comparisons now and then and an exporter that is down once."""
    for event in day.events:
        listed.add(event, after=timedelta(minutes=day.dice.randrange(14)))
    waiting = list(day.told)
    for since, until in ((moment(), DOWN[0]), (DOWN[1], moment(25))):
        time.now = since
        async with site(directory, listed, time) as exporter:
            await exporter.compare()
            while time.now < until:
                time.now = min(time.now + _STEP, until)
                due = [event for event in waiting if ends(event) < time.now]
                del waiting[: len(due)]
                assert all(await exporter.tell_all(due))
                await exporter.compare()


async def judged(day: Day, directory: Path, listed: CallList, time: Time) -> None:
    """See what the day has come to, and that it stays so."""
    async with site(directory, listed, time) as exporter:
        time.now = moment(25)
        assert await exporter.compare() == {}
        missed = len(day.to_count) - len(day.told)
        assert missed > 0.03 * len(day.events)
        assert exporter.totals() == expected(day.to_count)
        counts = exporter.tally.counts[catalog.RECONCILED_CALLS.name]
        reconciled = sum(count.value for count in counts.values())
        legs = sum(event["eventType"] != "disconnect" for event in day.to_count[len(day.told) :])
        assert reconciled == missed - legs
        # Bandwidth sends some after all.
        late = day.dice.sample(day.to_count, 20)
        assert not any(await exporter.tell_all(late))
        await exporter.compare()
        assert exporter.totals() == expected(day.to_count)


def test_a_day_with_outages_is_counted_as_if_there_had_been_none(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What webhooks missed is counted exactly, once, and nothing that they were not to tell of."""
    day = Day(SOAK_CALLS if request.config.getoption("--soak") else CALLS)
    time = Time(moment())
    with CallList(clock=time.date) as listed:
        asyncio.run(live(day, tmp_path, listed, time))
        asyncio.run(judged(day, tmp_path, listed, time))
        assert {one.method for one in listed.asked()} == {"GET"}
        assert not listed.asked("POST")
