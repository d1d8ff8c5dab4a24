"""Rows leave a ledger that several exporters share, in steps that look at few of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from bandwidth_voice_exporter.ledger.postgres import keeper, pruning, shared
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection
from bandwidth_voice_exporter.ledger.postgres.reader import SharedReader
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget
from bandwidth_voice_exporter.metrics import KINDS, catalog
from bandwidth_voice_exporter.voice import SECOND, CallEnded, Clock
from bandwidth_voice_exporter.voice.clock import now
from testkit import ledgers
from testkit.replicas import replica, until

if TYPE_CHECKING:
    from bandwidth_voice_exporter.ledger.pruning import Mark

HOUR = 3600 * SECOND
DAY = 24 * HOUR

pytestmark = pytest.mark.usefixtures("patient_replicas")


def some(number: int, since: int, cause: str) -> list[CallEnded]:
    """Calls of a cause, one received after the other from a time on."""
    dice = random.Random(since)
    return [
        msgspec.structs.replace(ledgers.a_call(dice, since + nth), cause=cause)
        for nth in range(number)
    ]


class Looking:
    """A connection within a transaction that is undone: rows that it looks at are counted."""

    def __init__(self, connection: PostgresConnection) -> None:
        self.connection = connection
        self._before = 0

    async def again(self) -> SimpleNamespace:
        """Connect, for a reader that breaks it off."""
        own = self.connection
        return SimpleNamespace(fetch=own.fetch, fetchrow=own.fetchrow, terminate=int)

    async def rows(self) -> int:
        """How many legs were looked at since this was last asked."""
        count = await self.connection.fetchval(
            "SELECT (idx_tup_fetch + seq_tup_read)::int FROM pg_stat_xact_user_tables "
            "WHERE relname = 'legs'"
        )
        looked, self._before = count - self._before, count
        return int(looked)


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[Looking]:
    """A connection whose statements follow indexes, as in a table that is not this small."""
    connection = await LedgerTarget(url, None, "looking").connect()
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            await connection.execute("SET LOCAL enable_sort = off")
            one = Looking(connection)
            await one.rows()
            yield one
    finally:
        connection.terminate()


def test_rows_that_are_not_due_are_hardly_looked_at(url: str) -> None:
    """Each replica looks every few seconds: at the first row of each kind and replica."""
    since = now() - HOUR

    async def check() -> None:
        async with replica(url, "one") as one, replica(url, "two") as two:
            for number, each in enumerate((one, two)):
                calls = some(100, since + 100 * number, "busy")
                await each.record(calls[:50])
                await each.record(some(50, since + 500 + 100 * number, "hangup"))
                await each.record(calls[50:])
        before = since - SECOND
        async with looking(url) as at:
            for kind in KINDS:
                marks: dict[int, Mark] = {}
                for _ in range(2):
                    await at.rows()
                    pruned = await pruning.step(at.connection, kind, before, now(), marks)
                    assert (pruned.rows, pruned.has_more) == (0, False)
                assert await at.rows() == 2  # from the second time on

    asyncio.run(check())


def test_rows_that_are_kept_for_longer_do_not_keep_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows of the other kind are before those that are due, steps stay small."""
    monkeypatch.setattr(pruning, "_WALK", 20)
    since = now() - HOUR

    async def check() -> None:
        async with replica(url, "one") as one:
            await one.record(some(400, since, "busy"))
            await one.record(some(100, since + 400, "hangup"))
        marks: dict[int, Mark] = {}  # as after a restart
        taken, has_more = 0, True
        async with looking(url) as at:
            while has_more:
                pruned = await pruning.step(at.connection, "normal", now(), now(), marks)
                taken, has_more = taken + pruned.rows, pruned.has_more
                assert await at.rows() <= 4 * 20  # looked at, counted, deleted
            assert taken == 100
            assert await at.connection.fetchval("SELECT count(*) FROM legs") == 400

    asyncio.run(check())


def test_a_step_comes_to_the_rows_of_each_replica(url: str) -> None:
    """Where rows of one are always due, those of the next go all the same."""
    since = now() - HOUR

    async def check() -> None:
        async with replica(url, "one") as one, replica(url, "two") as two:
            await one.record(some(50, since, "hangup"))
            await two.record(some(50, since + 50, "hangup"))
        async with looking(url) as at:
            pruned = await pruning.step(at.connection, "normal", now(), now(), {})
            assert (pruned.rows, pruned.before, pruned.has_more) == (100, since + 99, False)

    asyncio.run(check())


def test_many_rows_from_the_future_keep_no_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go with the next that is due, in steps, and stay where there is none."""
    monkeypatch.setattr(pruning, "_WALK", 20)
    ahead, since = now() + HOUR, now() - HOUR

    async def check() -> None:
        async with replica(url, "one") as one:
            for begins in (ahead, since, ahead + HOUR):
                await one.record(some(100, begins, "hangup"))
        marks: dict[int, Mark] = {}
        taken, has_more = 0, True
        async with looking(url) as at:
            while has_more:
                pruned = await pruning.step(at.connection, "normal", now(), now(), marks)
                taken, has_more = taken + pruned.rows, pruned.has_more
                assert pruned.rows <= 20
            assert taken == 200
            left = await at.connection.fetchval("SELECT min(received) FROM legs")
            assert left == ahead + HOUR

    asyncio.run(check())


def test_the_oldest_row_is_found_without_a_walk(url: str) -> None:
    """However many rows of one kind there are before the first of the other, few are looked at."""
    since = now() - HOUR

    async def check() -> None:
        async with replica(url, "one") as one:
            await one.record(some(500, since, "busy"))
        async with looking(url) as at:
            held = cast("LedgerTarget", SimpleNamespace(connect=at.again))
            async with SharedReader(held).kept() as kept:
                found = await asyncio.to_thread(kept.bounds, now())
                assert found.first == since
                assert await at.rows() == 2  # its index's first, and its replica's

    asyncio.run(check())


class Times:
    """A wall clock and one that nobody sets, both moved by hand (microseconds)."""

    def __init__(self) -> None:
        self.wall, self.steady, self.looks = now(), 0, 0

    def look(self) -> int:
        """Return the wall clock's time, and count that."""
        self.looks += 1
        return self.wall

    async def pass_by(self, span: int) -> None:
        """Let time go on, until the ledger has looked after itself several times."""
        self.wall += span
        self.steady += span
        looks = self.looks
        await until(lambda: self.looks > looks + 20, 60)


def test_rows_that_only_seemed_to_be_from_the_future_go_in_their_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a clock is right that was behind for long, no row waits for a later one."""
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "_CHECKPOINT_SECONDS", 0.0)
    times = Times()

    async def check() -> None:
        async with replica(url, "one", clock=Clock(times.look, lambda: times.steady)) as one:
            await one.record(some(30, times.wall, "hangup"))

            def pruned() -> float:
                return one.instruments.by(catalog.LEDGER_PRUNED, "kind")["normal"]

            times.wall -= 400 * DAY
            for span in (0, 2 * HOUR):
                await times.pass_by(span)
            times.wall += 400 * DAY
            for span in (0, 2 * HOUR):
                await times.pass_by(span)
            assert pruned() == 0
            await times.pass_by(4 * DAY)
            await until(lambda: pruned() == 30)

    asyncio.run(check())


def test_upkeep_that_fails_each_time_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why and a metric counts it, while calls are recorded all the same."""
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "_SURE_SECONDS", 0)
    monkeypatch.setattr(pruning, "_IS_KIND", dict.fromkeys(KINDS, "1 / 0 = 1"))

    async def check() -> None:
        async with replica(url, "one") as one:
            await until(
                lambda: one.instruments.by(catalog.LEDGER_ERRORS, "operation")["upkeep"] >= 3
            )
            assert one.instruments.one(catalog.LEDGER_UP) == 1
            assert await one.record(some(3, now(), "busy")) == [True] * 3

    asyncio.run(check())
    (told,) = [record for record in caplog.records if "upkeep" in record.getMessage()]
    assert "division by zero" in vars(told)["fields"]["reason"]
