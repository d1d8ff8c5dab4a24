"""A durable ledger keeps its promises, whether it is on a disk of its own or shared."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.ledger import durable
from bandwidth_voice_exporter.ledger.page import Page
from bandwidth_voice_exporter.ledger.postgres import keeper, shared
from bandwidth_voice_exporter.ledger.query import Query
from bandwidth_voice_exporter.voice import CallEnded, Clock
from bandwidth_voice_exporter.voice.clock import now
from testkit import ledgers
from testkit.ended import ended
from testkit.replicas import Opened, counted, ledger

HOUR = 3600 * 10**6

Open = Callable[..., AbstractAsyncContextManager[Opened]]

pytestmark = pytest.mark.usefixtures("patient_replicas")


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the same ledger again and again."""
    if request.param == "sqlite":
        flags = {"storage.path": str(tmp_path)}
    else:
        server = request.getfixturevalue("postgres")
        flags = {"ledger.url": server.url(server.database()), "replica.name": "one"}

    def one(more: Mapping[str, str] | None = None, clock: Clock | None = None) -> object:
        return ledger({**flags, **(more or {})}, clock)

    return one  # type: ignore[return-value]  # a context manager of it


def some(number: int, received: int | None = None) -> list[CallEnded]:
    """Calls with ids of their own."""
    dice = random.Random(number)
    return [ledgers.a_call(dice, (received or now()) + place) for place in range(number)]


@pytest.mark.program
def test_a_leg_is_counted_once(opened: Open) -> None:
    """A leg that comes again, at once or after a restart, is not new; another of its call is."""
    calls = some(30)
    legs = [
        msgspec.structs.replace(call, event_type=event_type)
        for call in calls
        for event_type in ("disconnect", "transferDisconnect")
    ]

    async def check() -> None:
        async with opened() as one:
            answers = await one.record([*legs, *legs])
            assert Counter(answers) == {True: 60, False: 60}
            assert await one.record(legs) == [False] * 60
        async with opened() as one:
            assert await one.record(legs) == [False] * 60
            assert one.legs() == 60

    asyncio.run(check())


@pytest.mark.program
def test_calls_without_an_id_are_all_counted(opened: Open) -> None:
    """Every call without an id is counted, even an identical one, and is shown without an id."""
    call = ended(received=now(), call_id=None, cause="busy")

    async def check() -> None:
        async with opened() as one:
            assert await one.record([call, call]) == [True, True]
            assert await one.record([call]) == [True]
            assert one.reader
            page = await asyncio.to_thread(one.reader.page, Query())
            assert [found for _, found in page.calls] == [call] * 3
        async with opened() as one:
            assert one.legs() == 3

    asyncio.run(check())


@pytest.mark.program
def test_totals_go_on_byte_for_byte(opened: Open) -> None:
    """The totals are the same after a restart, births, exemplars and error ids included."""

    async def check() -> None:
        async with opened() as one:
            await one.record(some(200))
            before, causes = one.totals(), counted(one)
        async with opened() as one:
            assert one.totals() == before
            await one.record(some(201))
            assert counted(one).total() == causes.total() + 201

    asyncio.run(check())


@pytest.mark.program
def test_notes_are_kept(opened: Open) -> None:
    """A note takes the place of the one before, and is there after a restart."""

    async def check() -> None:
        async with opened() as one:
            assert await one.ledger.note("a") is None
            assert await one.ledger.reserve_notes()
            await one.ledger.put_note("a", b"1")
            await one.ledger.put_note("a", b"2")
        async with opened() as one:
            assert await one.ledger.note("a") == b"2"

    asyncio.run(check())


@pytest.mark.program
def test_text_of_any_kind_is_kept(opened: Open) -> None:
    """No sign that a message may hold keeps a call from being recorded."""
    messages = ("\0", "\x7f\n\t", "'; DROP TABLE legs; --", "\N{GRINNING FACE}", "")
    calls = [
        ended(received=now(), call_id=f"c-{place}", cause="busy", error_message=message)
        for place, message in enumerate(messages)
    ]

    async def check() -> None:
        async with opened() as one:
            assert await one.record(calls) == [True] * len(messages)
            assert one.ledger.is_up()

    asyncio.run(check())


def wanted(calls: list[CallEnded], query: Query) -> list[str | None]:
    """The ids of failures that match, newest first."""
    return [
        call.call_id
        for call in sorted(calls, key=lambda one: -one.received)
        if query.wants_kind(call.cause, call.application, call.direction)
        and (query.since or 0) <= call.received <= (query.until or 2**62)
        and (call.cause != "hangup" or query.ids)
        and all(getattr(call, column) == text for column, text in query.ids.items())
    ]


@pytest.mark.program
def test_questions_have_the_same_answers(opened: Open) -> None:
    """Failures are listed by pages in both directions, by kind and time, and calls by each id."""
    dice = random.Random(7)
    start = now() - HOUR
    calls = [
        msgspec.structs.replace(
            call,
            cause=dice.choice(("hangup", "busy", "timeout", "new-one")),
            parent_call_id=dice.choice((None, "c-parent")),
        )
        for call in some(150, start)
    ]
    queries = [
        Query(limit=20),
        Query(causes=("busy", "new-one"), limit=7),
        Query(fault_domains=("unclassified",), directions=("inbound",), limit=5),
        Query(fault_domains=("user", "unclassified"), limit=50),
        Query(applications=("nobody",)),
        Query(since=start + 40, until=start + 90, limit=9),
        Query(ids={"call_id": calls[3].call_id or ""}),
        Query(ids={"parent_call_id": "c-parent"}, limit=1000),
        Query(ids={"sip_call_id": calls[5].sip_call_id or ""}),
    ]

    async def check() -> None:
        async with opened() as one:
            await one.record(calls)
            reader = one.reader
            assert reader
            for query in queries:
                found: list[str | None] = []
                page = await asyncio.to_thread(reader.page, query)
                while True:
                    found += [call.call_id for _, call in page.calls]
                    if page.older is None:
                        break
                    back = await newer(one, query, page)
                    assert not back or back[0] in found
                    page = await asyncio.to_thread(
                        reader.page, msgspec.structs.replace(query, older=page.older)
                    )
                assert found == wanted(calls, query), query
            legs = [(call.event_type, call.call_id or "") for call in calls[:5]]
            found_legs = await asyncio.to_thread(reader.find, [*legs, ("disconnect", "c-none")])
            assert found_legs == dict.fromkeys(legs, False)
            minutes = await asyncio.to_thread(reader.minutes, start - HOUR, now(), 5.0)
            ended_calls = [call for call in calls if call.event_type == "disconnect"]
            assert sum(sum(causes.values()) for causes in minutes.values()) == len(ended_calls)

    asyncio.run(check())


async def newer(one: Opened, query: Query, page: Page) -> list[str | None]:
    """The ids on the page before one."""
    if page.newer is None or one.reader is None:
        return []
    before = msgspec.structs.replace(query, newer=page.newer)
    return [call.call_id for _, call in (await asyncio.to_thread(one.reader.page, before)).calls]


def there(one: Opened, calls: list[CallEnded]) -> int:
    """How many of some calls' legs are in the ledger."""
    assert one.reader
    return len(one.reader.find([(call.event_type, call.call_id or "") for call in calls]))


class Ahead:
    """A clock that goes ahead by hours, as if it had always."""

    def __init__(self) -> None:
        self.hours = 0

    def __call__(self) -> int:
        return now() + self.hours * HOUR


@pytest.mark.program
def test_rows_go_in_their_time(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normal calls go after their retention, failures after theirs; the totals stay."""
    monkeypatch.setattr(durable, "_UPKEEP_SECONDS", 0.05)
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_PRUNE_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_CHECKPOINT_SECONDS", 0.05)
    monkeypatch.setattr(durable, "_CHECKPOINT_SECONDS", 0.05)
    wall = Ahead()

    async def check() -> None:
        async with opened(clock=Clock(wall, wall)) as one:
            await one.record(some(100))
            total = one.legs()
            failures = sum(call.cause != "hangup" for call in some(100))
            for hours, left in ((24 * 3 + 2, failures), (24 * 8, 0)):
                wall.hours = hours
                async with asyncio.timeout(60):
                    while await asyncio.to_thread(there, one, some(100)) != left:  # noqa: ASYNC110  # nobody tells
                        await asyncio.sleep(0.1)
            assert one.legs() == total

    asyncio.run(check())
