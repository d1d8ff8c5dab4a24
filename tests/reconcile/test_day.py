"""A day of which webhooks miss some: after it all that is to be counted is counted, once."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.payload import payload
from testkit.call_list import CallList
from testkit.compared import Event, Time, expected, moment, site
from testkit.half_covered import SOMETIMES, is_asked_for, made

# Down for an hour, its network cut, its certificate expired.
OUTAGES = (
    (moment(10), moment(11)),
    (moment(14), moment(14.1)),
    (moment(20), moment(20.1)),
)
DOWN = OUTAGES[0]
CALLS, SOAK_CALLS = 2_000, 50_000
_STEP = timedelta(minutes=90)


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
        begin = round(moment().timestamp() * 1000)
        self.events: list[Event] = [
            payload(call, begin + round(call.end * 1000)) for call in made(number)
        ]
        asked = [event for event in self.events if is_asked_for(event, dice)]
        self.told = [event for event in asked if not is_in(ends(event), OUTAGES)]
        first = ends(self.told[0])  # where comparing begins
        self.to_count = self.told + [
            event
            for event in asked
            if is_in(ends(event), OUTAGES)
            and event.get("applicationId") != SOMETIMES
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
    """Each call that webhooks missed is counted once, and none that they were not to tell of."""
    day = Day(SOAK_CALLS if request.config.getoption("--soak") else CALLS)
    time = Time(moment())
    with CallList(clock=time.date) as listed:
        asyncio.run(live(day, tmp_path, listed, time))
        asyncio.run(judged(day, tmp_path, listed, time))
        assert {one.method for one in listed.asked()} == {"GET"}
        assert not listed.asked("POST")
