"""Several exporters that share a ledger in a real PostgreSQL count each call once."""

import asyncio
import random
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.ledger.database import StoreError
from bandwidth_voice_exporter.ledger.postgres import (
    keeper,
    left,
    lock,
    queue,
    session,
    shared,
    spool,
)
from bandwidth_voice_exporter.ledger.postgres.target import AwayError, LedgerTarget
from bandwidth_voice_exporter.ledger.table import Numbered
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice import SECOND, CallEnded
from bandwidth_voice_exporter.voice.clock import now
from testkit import ledgers, waiting
from testkit.ended import ended
from testkit.postgres import Postgres
from testkit.proxy import Proxy
from testkit.replicas import Opened, counted, replica, until

pytestmark = pytest.mark.usefixtures("patient_replicas")


def some(number: int, seed: int = 1) -> list[CallEnded]:
    """Calls with ids of their own."""
    dice = random.Random(seed)
    return [ledgers.a_call(dice, now()) for _ in range(number)]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let replicas look at the database, and give signs of life, every 0.05 seconds."""
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_BEAT_SECONDS", 0.05)


async def in_parts(one: Opened, calls: Sequence[CallEnded]) -> list[bool]:
    """Record calls a few at a time; say of each whether it is new."""
    return [
        new
        for start in range(0, len(calls), 20)
        for new in await one.record(calls[start : start + 20])
    ]


def twice(one: Opened) -> float:
    """How many calls it says that another replica counted too."""
    return one.instruments.one(catalog.LEDGER_COUNTED_TWICE)


def test_replicas_count_each_call_once_together(url: str) -> None:
    """Of calls that come to several replicas at once, each is counted by one of them."""
    calls = some(600)

    async def check() -> None:
        async with (
            replica(url, "one") as one,
            replica(url, "two") as two,
            replica(url, "three") as three,
        ):
            dice = random.Random(2)
            parts = [dice.sample(calls, len(calls)) for _ in range(3)]
            answers = await asyncio.gather(*map(in_parts, (one, two, three), parts))
            assert sum(map(sum, answers)) == len(calls)
            total: Counter[str] = sum(map(counted, (one, two, three)), Counter())
            assert total == Counter(call.cause for call in calls)
            assert min(each.legs() for each in (one, two, three)) > 0

    asyncio.run(check())


def test_a_replica_goes_on_with_its_share(url: str, tmp_path: Path) -> None:
    """Started again, on another machine too, a replica shows what it counted before."""
    calls = some(40)

    async def check() -> None:
        async with replica(url, "one") as one, replica(url, "two") as two:
            await one.record(calls[:30])
            await two.record(calls[20:])
            before = one.totals(), two.totals()
        flags = {"storage.path": str(tmp_path)}
        async with replica(url, "two") as two, replica(url, "one", flags) as one:
            assert (one.totals(), two.totals()) == before
            assert (one.legs(), two.legs()) == (30, 10)

    asyncio.run(check())


def test_a_replica_that_was_killed_goes_on_from_its_rows(url: str) -> None:
    """Calls that were recorded after the last save are counted from their rows."""

    async def check() -> None:
        calls = some(50)
        async with replica(url, "one", is_killed=True) as one:
            await one.record(calls)
            before = one.totals()
        async with replica(url, "one") as one:
            assert one.totals() == before
            assert await one.record(calls) == [False] * 50

    asyncio.run(check())


def test_new_label_values_are_named_alike(url: str) -> None:
    """Replicas name the same new label values, and none names more of them than the cap allows."""
    applications = [f"04e88489-df02-4e34-a0ee-27a9184955{n:02x}" for n in range(6)]

    def call(which: int) -> CallEnded:
        application, cause = applications[which], f"new-{'abcdef'[which]}"
        return ended(received=now(), call_id=f"c-{which}", application=application, cause=cause)

    async def check() -> None:
        caps = {"labels.max-applications": "3", "labels.max-new-causes": "3"}
        async with replica(url, "one", caps) as one, replica(url, "two", caps) as two:
            for which in range(6):
                await (one, two)[which % 2].record([call(which)])
            named = {"new-a", "new-b", "new-c", "other"}
            assert {*counted(one), *counted(two)} == named
            await one.record([msgspec.structs.replace(call(1), call_id="c-again")])
            assert counted(one)["new-b"] == 1
            assert set(one.tally.applications()) <= set(applications[:3])
        async with replica(url, "one", caps) as one:
            assert set(one.tally.applications()) == set(applications[:3])

    asyncio.run(check())


@pytest.mark.usefixtures("hasty")
def test_a_name_is_of_one_process(url: str) -> None:
    """While an exporter of a name lives, a second one does not start, and says why."""

    async def check() -> None:
        async with replica(url, "one") as one:
            await one.record(some(1))
            with pytest.raises(StoreError, match=r"--replica.name one: an exporter of this name"):
                async with replica(url, "one"):
                    pass
            assert await one.record(some(2)) == [False, True]

    asyncio.run(check())


@pytest.mark.usefixtures("hasty")
def test_whoever_stood_still_counts_no_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that gave no sign of life for a lease is succeeded, and ends when it finds out."""
    monkeypatch.setattr(lock, "LEASE", 0.5)
    calls = some(20)

    async def check() -> None:
        async with replica(url, "one") as frozen:
            await frozen.record(calls[:10])
            monkeypatch.setattr(keeper, "_BEAT_SECONDS", 1000)
            await asyncio.sleep(0.6)  # longer than the lease
            async with replica(url, "one") as successor:
                assert successor.legs() == 10
                late = asyncio.ensure_future(frozen.record(calls))
                assert await successor.record(calls) == [False] * 10 + [True] * 10
                await late

    with pytest.raises(StoreError, match="took over"):
        asyncio.run(check())


def test_lost_connections_lose_nothing(postgres: Postgres, url: str) -> None:
    """Sessions that are ended at any moment leave each call counted once."""
    database = url.rpartition("/")[2].partition("?")[0]
    calls = some(700)
    end = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = $1 AND application_name LIKE 'bandwidth%'
    """

    async def check() -> None:
        async with replica(url, "one") as one, replica(url, "two") as two:
            loads = asyncio.gather(in_parts(one, calls), in_parts(two, calls))
            while not loads.done():
                before = one.legs() + two.legs()
                await asyncio.to_thread(postgres.ask, "postgres", end, database)
                await until(lambda: loads.done() or one.legs() + two.legs() != before, 60)  # noqa: B023  # waited for here
            answers = await loads
            assert sum(map(sum, answers)) == len(calls)
            assert one.legs() + two.legs() == len(calls)
            assert (twice(one), twice(two)) == (0, 0)

    asyncio.run(check())


def living(one: Opened) -> list[str]:
    """Return the names of the replicas that live, as it knows.

    A replica that starts has its name in the database before its first sign of life.
    """
    return [each.name for each in one.ledger.replicas() if each.lives]


@pytest.mark.usefixtures("hasty")
def test_replicas_know_of_each_other(url: str) -> None:
    """Each knows its own name and which others live."""

    async def check() -> None:
        async with replica(url, "one") as one:
            async with replica(url, "two"):
                await until(lambda: living(one) == ["one", "two"])
                there = {each.name: each.is_this for each in one.ledger.replicas()}
                assert there == {"one": True, "two": False}
            await until(lambda: living(one) == ["one"])

    asyncio.run(check())


@pytest.mark.program
@pytest.mark.usefixtures("hasty")
def test_calls_are_counted_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are answered, and recorded later; what another replica counted meanwhile is shown."""
    calls = some(60)

    async def check(url: str, server: Postgres) -> None:
        two_flags = {"storage.path": str(tmp_path)}
        async with replica(url, "one") as one, replica(url, "two", two_flags) as two:
            assert await one.record(calls[:10]) == [True] * 10
            await asyncio.to_thread(server.stop)
            monkeypatch.setattr(shared, "_PATIENCE", 0.5)
            assert await one.record(calls[5:30]) == [False] * 5 + [True] * 20
            assert await two.record(calls[20:40]) == [True] * 20
            assert not one.ledger.is_up()
            assert one.legs() == 30
            monkeypatch.setattr(shared, "_PATIENCE", 60.0)
            await asyncio.to_thread(server.start)
            await until(lambda: one.ledger.is_up() and two.ledger.is_up(), 60)
            assert await one.record(calls[:40]) == [False] * 40
            assert one.legs() + two.legs() - twice(one) - twice(two) == 40
            assert twice(one) + twice(two) == 10
            before = one.totals(), two.totals()
        async with replica(url, "two") as two, replica(url, "one") as one:
            assert (one.totals(), two.totals()) == before
            assert twice(one) + twice(two) == 10

    with Postgres() as server:
        asyncio.run(check(server.url("postgres"), server))


def test_the_log_says_why_the_database_is_away(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each line does, whatever it is about: another one is not due for a minute."""
    monkeypatch.setattr(Log, "is_due", lambda *_: True)
    monkeypatch.setattr(shared, "_PATIENCE", 0.5)
    database = postgres.database()

    async def check(network: Proxy) -> None:
        async with replica(postgres.url(database, address=network.address), "one") as one:
            await until(one.ledger.is_up)
            network.cut()
            for call in some(3):
                assert await one.record([call]) == [True]
            network.lead_to(postgres.address)
            await until(one.ledger.is_up)

    with Proxy(postgres.address) as network:
        asyncio.run(check(network))
    lines = [vars(line) for line in caplog.records if line.msg.startswith("not durable")]
    assert len(lines) >= 4
    assert all(line["fields"]["reason"] for line in lines)
    assert not any("in time" in line["fields"]["reason"] for line in lines)


@pytest.mark.program
@pytest.mark.usefixtures("hasty")
def test_calls_wait_for_a_database_that_is_away_at_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are answered and wait on the disk, a kill included; then each is counted once."""
    calls = some(60)
    folder = {"storage.path": str(tmp_path)}

    async def check(url: str, server: Postgres) -> None:
        async with replica(url, "one", folder) as one:
            await one.record(calls[:10])
            await asyncio.to_thread(server.stop)
            monkeypatch.setattr(shared, "_PATIENCE", 0.5)
            await one.record(calls[10:20])
        async with replica(url, "one", folder, is_killed=True) as one:
            assert await one.record(calls[5:30]) == [True] * 25
            assert not one.ledger.loaded().done()
        async with replica(url, "one", folder) as one:
            monkeypatch.setattr(shared, "_PATIENCE", 60.0)
            await asyncio.to_thread(server.start)
            await until(one.ledger.is_up, 60)
            assert one.legs() == 30
            assert twice(one) == 0
            assert await one.record(calls[:31]) == [False] * 30 + [True]

    with Postgres() as server:
        asyncio.run(check(server.url("postgres"), server))


@pytest.mark.program
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("is_killed_again", [False, True])
def test_no_counter_goes_back_where_a_process_is_killed_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_killed_again: bool
) -> None:
    """Its successor shows, and reports, the calls that it counted twice from its spool."""
    calls = some(40)
    folder = {"storage.path": str(tmp_path)}

    async def check(url: str, server: Postgres) -> None:
        async with replica(url, "one", folder) as one:
            await one.record(calls[:20])
        async with replica(url, "one", folder, is_killed=True) as one:
            await until(one.ledger.is_up)
            await one.record(calls[20:22])
            await asyncio.to_thread(server.stop)
            monkeypatch.setattr(shared, "_PATIENCE", 0.5)
            assert await one.record(calls[10:30]) == [True] * 10 + [False] * 2 + [True] * 8
            assert one.legs() == 40
        if is_killed_again:
            async with replica(url, "one", folder, is_killed=True) as one:
                await one.record(calls[30:35])
        monkeypatch.setattr(shared, "_PATIENCE", 60.0)
        await asyncio.to_thread(server.start)
        for _ in range(2):
            async with replica(url, "one", folder) as one:
                await until(one.ledger.is_up, 60)
                assert one.legs() == 40 + 5 * is_killed_again
                assert twice(one) == 10
                assert not any(await one.record(calls[:30]))

    with Postgres() as server:
        asyncio.run(check(server.url("postgres"), server))


@pytest.mark.program
@pytest.mark.usefixtures("hasty")
def test_a_spool_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is down until the calls in it can be recorded, and then they are counted once."""
    calls = some(30)
    folder = {"storage.path": str(tmp_path)}

    def failures(one: Opened) -> float:
        return one.instruments.by(catalog.LEDGER_ERRORS, "operation").get("recover", 0)

    async def check(url: str, server: Postgres) -> None:
        async with replica(url, "one", folder) as one, replica(url, "two") as two:
            await one.record(calls[:10])
            await asyncio.to_thread(server.stop)
            monkeypatch.setattr(shared, "_PATIENCE", 0.5)
            assert await one.record(calls[10:20]) == [True] * 10
            with monkeypatch.context() as broken:
                broken.setattr(spool, "_AFTER", "SELECT no_such_thing, ?, ?")
                await asyncio.to_thread(server.start)
                await until(two.ledger.is_up, 60)
                failed = failures(one)
                await until(lambda: failures(one) > failed + 2)
                assert not one.ledger.is_up()
                assert await one.record(calls[20:30]) == [True] * 10
            monkeypatch.setattr(shared, "_PATIENCE", 60.0)
            await until(one.ledger.is_up, 60)
            assert not any(await two.record(calls[10:30]))
            assert one.legs() + two.legs() == 30
            assert twice(one) + twice(two) == 0

    with Postgres() as server:
        asyncio.run(check(server.url("postgres"), server))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("is_given_up", [False, True])
def test_calls_left_for_a_process_are_counted_where_the_answer_to_their_insert_is_late(
    url: str, monkeypatch: pytest.MonkeyPatch, *, is_given_up: bool
) -> None:
    """They are counted once, however long the answer takes, and also where it is given up."""
    calls = some(10)
    insert = session.Session.insert
    late = iter([True])

    async def held_back(self: session.Session, numbered: Sequence[Numbered]) -> set[int]:
        mine = await insert(self, numbered)
        if next(late, False):
            await asyncio.sleep(0.3)  # longer than a look may take
            if is_given_up:
                raise AwayError("the answer was lost")
        return mine

    async def check() -> None:
        async with replica(url, "one") as one:
            monkeypatch.setattr(shared, "STATEMENT_SECONDS", 0.2)
            monkeypatch.setattr(shared, "_PATIENCE", 0.0 if is_given_up else 60.0)
            monkeypatch.setattr(session.Session, "insert", held_back)
            await left.put(LedgerTarget(url, None, "one"), calls)
            await until(lambda: one.legs() == 10 and one.ledger.is_up())
            monkeypatch.setattr(shared, "_PATIENCE", 60.0)
            assert not any(await one.record(calls))
            assert twice(one) == 0
        async with replica(url, "one") as one:
            assert one.legs() == 10

    asyncio.run(check())


@pytest.mark.usefixtures("hasty")
def test_a_ledger_that_was_dropped_is_not_taken_for_one_that_was_taken_over(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter ends, and says what happened to its ledger."""
    monkeypatch.setattr(keeper, "_BEAT_SECONDS", 0.0)
    database = postgres.database()

    async def check() -> None:
        async with replica(postgres.url(database), "one") as one:
            await one.record(some(3))
            drop = "DROP SCHEMA bandwidth_voice CASCADE"
            await asyncio.to_thread(postgres.ask, database, drop)
            await until(lambda: False)

    with pytest.raises(StoreError, match="dropped or emptied"):
        asyncio.run(check())


def test_an_answer_that_is_lost_is_asked_for(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls whose commit was done and never answered are counted once, as new ones."""
    monkeypatch.setattr(keeper, "_BEAT_SECONDS", 1000)
    monkeypatch.setattr(keeper, "_SIZE_SECONDS", 1000)
    monkeypatch.setattr(keeper, "_PRUNE_SECONDS", 1000)
    database = postgres.database()
    calls = some(40)

    async def check(network: Proxy) -> None:
        async with replica(postgres.url(database, address=network.address), "one") as one:
            await one.record(calls[:10])
            await until(lambda: len(one.ledger.replicas()) == 1)  # nothing else is asked now
            # Not before: on a busy machine it takes longer to make the tables.
            monkeypatch.setattr(session, "STATEMENT_SECONDS", 1.0)
            network.stall()
            assert await one.record(calls) == [False] * 10 + [True] * 30
            assert one.legs() == 40
            assert one.ledger.is_up()

    with Proxy(postgres.address) as network:
        asyncio.run(check(network))


def test_one_replica_at_a_time_puts_notes(postgres: Postgres, url: str) -> None:
    """A replica that lost its session can put no more notes, and another replica can."""
    end = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = $1 AND application_name = 'bandwidth-voice-exporter one'
    """
    database = url.rpartition("/")[2].partition("?")[0]

    async def check() -> None:
        async with replica(url, "one") as one, replica(url, "two") as two:
            assert await one.ledger.reserve_notes()
            assert await one.ledger.reserve_notes()
            await one.ledger.put_note("a", b"1")
            assert not await two.ledger.reserve_notes()
            with pytest.raises(StoreError):
                await two.ledger.put_note("a", b"2")
            await asyncio.to_thread(postgres.ask, "postgres", end, database)
            await one.record(some(1))  # in a new session
            with pytest.raises(StoreError):
                await one.ledger.put_note("a", b"3")
            assert await two.ledger.reserve_notes()
            await two.ledger.put_note("a", b"4")
            assert not await one.ledger.reserve_notes()
            assert await one.ledger.note("a") == b"4"

    asyncio.run(check())


def test_notes_are_not_kept_from_others_by_one_that_stands_still(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that gave no sign of life for a lease loses its session, and so the notes."""
    monkeypatch.setattr(keeper, "_BEAT_SECONDS", 1000)
    monkeypatch.setattr(lock, "LEASE", 0.5)

    async def check() -> None:
        async with replica(url, "one") as frozen, replica(url, "two") as two:
            assert await frozen.ledger.reserve_notes()
            assert not await two.ledger.reserve_notes()
            async with asyncio.timeout(30):
                while not await two.ledger.reserve_notes():  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.1)

    asyncio.run(check())


def test_a_reader_knows_what_others_did(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells which rows another replica took away, and whether calls came without an id."""
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_PRUNE_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_CHECKPOINT_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "_SURE_SECONDS", 0)
    old, young = now() - 100 * SECOND, now() - 20 * SECOND

    def call(received: int, **fields: str | None) -> CallEnded:
        return msgspec.structs.replace(some(1, received)[0], received=received, **fields)

    async def check() -> None:
        flags = {"storage.retention": "50s", "storage.retention-normal": "50s"}
        async with replica(url, "one") as one, replica(url, "two", flags) as two:
            assert one.reader
            empty = await asyncio.to_thread(one.reader.bounds, 0)
            assert (empty.first, empty.is_nameless) == (None, False)
            await two.record([call(old, cause="busy"), call(old + 1, cause="hangup")])
            await two.record([call(young, cause="hangup", call_id=None)])
            async with asyncio.timeout(60):
                while True:
                    found = await asyncio.to_thread(one.reader.bounds, young)
                    if all(found.pruned.values()):
                        break
                    await asyncio.sleep(0.05)
            assert found.pruned == {"failure": old, "normal": old + 1}
            assert (found.first, found.is_nameless) == (young, True)
            assert not (await asyncio.to_thread(one.reader.bounds, young + 1)).is_nameless

    asyncio.run(check())


@pytest.mark.program
def test_many_questions_of_one_asker_share_a_connection(postgres: Postgres, url: str) -> None:
    """It is opened again where the server ended it, and is gone in the end."""

    def asking() -> set[int]:
        asked = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1"
        return {pid for (pid,) in postgres.ask("postgres", asked, "bandwidth-voice-exporter %")}

    calls = some(5)
    legs = [(call.event_type, call.call_id or "") for call in calls]

    async def check() -> None:
        async with replica(url, "one") as one:
            await one.record(calls)
            assert one.reader
            others = await asyncio.to_thread(asking)
            async with one.reader.kept() as kept:
                pids: list[int] = []
                for _ in range(3):
                    assert await asyncio.to_thread(kept.find, legs) == dict.fromkeys(legs, False)
                    pids += await asyncio.to_thread(asking) - others
                assert len(pids) == 3
                assert len({*pids}) == 1
                ended = "SELECT pg_terminate_backend($1, 20000)"
                assert await asyncio.to_thread(postgres.ask, "postgres", ended, pids[0]) == [
                    (True,)
                ]
                assert len(await asyncio.to_thread(kept.find, legs)) == 5
            await asyncio.to_thread(waiting.until, lambda: asking() == others, "its end")

    asyncio.run(check())


@contextmanager
def full(spool: Path) -> Iterator[None]:
    """Let the disk be full for the file of a spool."""
    size = Path(f"{spool}-wal").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("hasty")
def test_a_commit_knows_how_many_replicas_share_the_calls(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit does not count the replicas that have ended."""
    told: list[int] = []
    monkeypatch.setattr(queue.Queue, "committed", lambda *given: told.append(given[-1]))

    async def check() -> None:
        async with replica(url, "one") as one:
            async with replica(url, "two"):
                await until(lambda: living(one) == ["one", "two"])
                await one.record(some(1))
            await until(lambda: living(one) == ["one"])
            await one.record(some(1, seed=2))
            assert told == [2, 1]

    asyncio.run(check())


@pytest.mark.program
@pytest.mark.usefixtures("hasty")
def test_what_a_full_disk_loses_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only calls that memory held when the exporter was killed; they come in where it lives on."""
    calls = some(80)
    folder = {"storage.path": str(tmp_path)}

    async def away(one: Opened, server: Postgres, first: int) -> None:
        monkeypatch.setattr(shared, "_PATIENCE", 0.5)
        await asyncio.to_thread(server.stop)
        assert await one.record(calls[first : first + 10]) == [True] * 10
        with full(tmp_path / spool.FILE):
            assert await one.record(calls[first + 10 : first + 20]) == [True] * 10
            assert await one.record(calls[first : first + 20]) == [False] * 20
        assert not one.ledger.is_up()

    async def back(one: Opened, server: Postgres) -> None:
        monkeypatch.setattr(shared, "_PATIENCE", 60.0)
        await asyncio.to_thread(server.start)
        await until(one.ledger.is_up, 60)

    async def check(url: str, server: Postgres) -> None:
        async with replica(url, "one", folder, is_killed=True) as one:
            await one.record(calls[:10])
            await away(one, server, 10)
            await back(one, server)
            assert one.legs() == 30
            assert await one.record(calls[:40]) == [False] * 30 + [True] * 10
            await away(one, server, 40)
            assert one.legs() == 60
        async with replica(url, "one", folder) as one:
            await back(one, server)
            assert one.legs() == 50
            assert await one.record(calls[:60]) == [False] * 50 + [True] * 10
            assert twice(one) == 0

    with Postgres() as server:
        asyncio.run(check(server.url("postgres"), server))


@pytest.mark.usefixtures("hasty")
def test_calls_of_a_process_that_is_succeeded_are_left_to_its_successor(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that a process answered while its network was cut are counted once by its successor."""
    monkeypatch.setattr(lock, "LEASE", 0.5)
    calls = some(40)
    database = postgres.database()

    async def check(network: Proxy) -> None:
        monkeypatch.setattr(shared, "_PATIENCE", 60.0)
        async with replica(postgres.url(database), "one") as successor:
            assert await successor.record(calls[20:30]) == [True] * 10
            network.lead_to(postgres.address)
            await until(lambda: successor.legs() == 40, 60)
            assert await successor.record(calls) == [False] * 40
            assert twice(successor) == 0
        left = "SELECT count(*) FROM bandwidth_voice.left_calls"
        assert postgres.ask(database, left) == [(0,)]

    async def begin(network: Proxy) -> None:
        async with replica(postgres.url(database, address=network.address), "one") as first:
            await first.record(calls[:10])
            monkeypatch.setattr(shared, "_PATIENCE", 0.2)
            network.cut()
            assert await first.record(calls[5:40]) == [False] * 5 + [True] * 30
            assert first.legs() == 40
            await asyncio.sleep(0.6)  # longer than the lease
            monkeypatch.setattr(shared, "_PATIENCE", 60.0)  # a busy machine is not one without it
            await check(network)

    with Proxy(postgres.address) as network, pytest.raises(StoreError, match="took over"):
        asyncio.run(begin(network))
