"""Which calls leave the ledger, and by what clock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import durable, store
from bandwidth_voice_exporter.ledger.directory import Claim
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.opening import opened
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, catalog
from bandwidth_voice_exporter.settings import resolve
from bandwidth_voice_exporter.voice.clock import SECOND, Clock
from testkit.ledgers import DAY, stored_calls

NOON = 1_772_366_400 * SECOND
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


class Times:
    """A wall clock and one that nobody sets, both moved by hand (microseconds)."""

    def __init__(self) -> None:
        self.wall, self.steady, self.looks = NOON, 0, 0

    def look(self) -> int:
        """Return the wall clock's time, and count that."""
        self.looks += 1
        return self.wall

    def pass_by(self, span: int) -> None:
        """Let time go on."""
        self.wall += span
        self.steady += span

    async def are_looked_at(self) -> None:
        """Wait until the ledger has looked after itself several times, by the times as they are."""
        looks = self.looks
        async with asyncio.timeout(20):
            while self.looks < looks + 20:  # noqa: ASYNC110  # there is no event: the clock is looked at
                await asyncio.sleep(0)


@asynccontextmanager
async def running(directory: Path, instruments: Instruments | None = None) -> AsyncIterator[Times]:
    """A ledger in a directory that looks after itself all the time, and its times."""
    times = Times()
    claim = Claim(directory, allow_network_fs=True)
    clock = Clock(times.look, lambda: times.steady)
    runtime = Runtime(clock, instruments or Instruments(), Log())
    async with opened(claim, resolve({}, {}, {}), Fingerprints(), runtime):
        yield times
    claim.release()


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_UPKEEP_SECONDS", 0.0)


def ages(directory: Path) -> list[int]:
    """The days that the ledger's calls were received before noon, without doubles."""
    with closing(Store(directory / store.FILE, read_only=True)) as ledger:
        received = sorted({call.received for _, call in ledger.calls_after(0)})
        return [(NOON - one) // DAY for one in received]


def failures(directory: Path) -> int:
    """How many failed calls are in the ledger."""
    with closing(sqlite3.connect(directory / store.FILE)) as database:
        found = database.execute("SELECT count(*) FROM calls WHERE cause <> 'hangup'")
        return int(found.fetchone()[0])


def test_what_is_there_is_shown_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and bytes are right before the ledger first looks after itself."""
    monkeypatch.setattr(durable, "_UPKEEP_SECONDS", 60.0)
    stored_calls(tmp_path, 30, NOON)
    counted = Instruments()

    async def scenario() -> None:
        async with running(tmp_path, counted):
            assert counted.one(catalog.LEDGER_ROWS) == 30
            assert counted.one(catalog.LEDGER_BYTES) >= (tmp_path / store.FILE).stat().st_size

    asyncio.run(scenario())


def test_the_first_hour_prunes_nothing(tmp_path: Path) -> None:
    """Calls go for their age once the clock has held for an hour, and not before."""
    stored_calls(tmp_path, 30, NOON - 30 * DAY)

    async def scenario() -> None:
        async with running(tmp_path) as times:
            times.pass_by(HOUR - 1)
            await times.are_looked_at()
            assert ages(tmp_path) == [30]
            times.pass_by(1)
            await times.are_looked_at()
            assert ages(tmp_path) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("step", [-5 * MINUTE, -400 * DAY])
def test_a_clock_set_back_prunes_nothing(tmp_path: Path, step: int) -> None:
    """Calls from the future of a clock that was set back stay, however long it holds."""
    stored_calls(tmp_path, 30, NOON)

    async def scenario() -> None:
        async with running(tmp_path) as times:
            times.pass_by(2 * HOUR)
            await times.are_looked_at()
            times.wall += step
            await times.are_looked_at()
            times.pass_by(2 * HOUR)
            await times.are_looked_at()
            times.wall -= step
            await times.are_looked_at()
            times.pass_by(2 * HOUR)
            await times.are_looked_at()

    asyncio.run(scenario())
    assert ages(tmp_path) == [0]


def test_a_clock_ahead_for_a_moment_prunes_nothing(tmp_path: Path) -> None:
    """Nine days ahead for four seconds, a clock takes away no failure, nor once it is right."""
    stored_calls(tmp_path, 30, NOON)
    before = failures(tmp_path)

    async def scenario() -> None:
        async with running(tmp_path) as times:
            times.pass_by(2 * HOUR)
            await times.are_looked_at()
            times.wall += 9 * DAY
            await times.are_looked_at()
            times.pass_by(4 * SECOND)
            await times.are_looked_at()
            times.wall -= 9 * DAY
            await times.are_looked_at()
            times.pass_by(2 * HOUR)
            await times.are_looked_at()
            assert failures(tmp_path) == before
            times.wall += 9 * DAY
            times.steady += HOUR
            await times.are_looked_at()
            assert failures(tmp_path) == before
            times.pass_by(HOUR)
            await times.are_looked_at()
            assert failures(tmp_path) == 0

    asyncio.run(scenario())


def test_rows_from_the_future_keep_no_others(tmp_path: Path) -> None:
    """Rows from the future go with later ones that are due, and stay where there are none."""
    stored_calls(tmp_path, 2500, NOON + 365 * DAY)
    stored_calls(tmp_path, 1200, NOON - 30 * DAY)
    stored_calls(tmp_path, 1100, NOON + 90 * DAY)
    stored_calls(tmp_path, 20, NOON - HOUR)

    async def scenario() -> None:
        async with running(tmp_path) as times:
            times.pass_by(HOUR)
            await times.are_looked_at()
            await times.are_looked_at()
            assert ages(tmp_path) == [0, -90]
            times.wall += DAY // 2
            times.steady += DAY // 2
            await times.are_looked_at()
            assert ages(tmp_path) == [0, -90]
            times.pass_by(8 * DAY)
            await times.are_looked_at()

    asyncio.run(scenario())
    assert ages(tmp_path) == []
