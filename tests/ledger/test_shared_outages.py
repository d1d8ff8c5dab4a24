"""Whatever happens to replicas while their database comes and goes, their counters are exact."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bandwidth_voice_exporter.ledger.postgres import lock, session, shared
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.clock import now
from testkit import ledgers
from testkit.postgres import Postgres
from testkit.proxy import Proxy
from testkit.replicas import KilledError, Opened, replica, until

if TYPE_CHECKING:
    from bandwidth_voice_exporter.voice import CallEnded


class Station:
    """A replica with a spool on the disk, behind a network of its own, process after process."""

    def __init__(self, postgres: Postgres, database: str, name: str, folder: Path) -> None:
        self._postgres, self._name, self._folder = postgres, name, folder
        self.network = Proxy(postgres.address)
        self._url = postgres.url(database, address=self.network.address)
        self._stack = AsyncExitStack()
        self._shown = 0
        self.one: Opened

    async def start(self) -> None:
        """Start a process."""
        self._stack = AsyncExitStack()
        flags = {"storage.path": str(self._folder)}
        self.one = await self._stack.enter_async_context(replica(self._url, self._name, flags))

    async def stop(self) -> None:
        """End it in peace."""
        await self._stack.aclose()

    async def kill(self) -> None:
        """End it at once."""
        await self._stack.__aexit__(KilledError, KilledError(), None)

    def heal(self) -> None:
        """Let it reach the database."""
        self.network.lead_to(self._postgres.address)

    def shown(self) -> int:
        """The calls that its counters show; they never go back."""
        if self.one.ledger.loaded().done():
            legs = self.one.legs()
            assert legs >= self._shown, f"{self._name} goes back from {self._shown} to {legs}"
            self._shown = legs
        return self._shown

    def twice(self) -> int:
        """Those that it says are counted twice."""
        return int(self.one.instruments.one(catalog.LEDGER_COUNTED_TWICE))


class Story:
    """What happens to replicas, at random; ``calls`` are all that ended."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.calls: list[CallEnded] = []

    async def go_on(self, stations: Sequence[Station]) -> None:
        """Let something happen to one of them."""
        happening = self._dice.choice(HAPPENINGS)
        await happening(self, self._dice.choice(stations))
        for station in stations:
            station.shown()

    async def call(self, station: Station) -> None:
        """Some calls end."""
        new = [ledgers.a_call(self._dice, now()) for _ in range(self._dice.randint(1, 5))]
        self.calls += new
        assert all(await station.one.record(new))

    async def call_again(self, station: Station) -> None:
        """Calls that ended are delivered again, to whichever replica."""
        if self.calls:
            await station.one.record(self._dice.sample(self.calls, min(len(self.calls), 5)))

    async def lose_an_answer(self, station: Station) -> None:
        """The commit of some calls is done, and never answered."""
        station.network.stall()
        await self.call(station)

    async def cut(self, station: Station) -> None:
        """The database is away from now on."""
        station.network.cut()

    async def heal(self, station: Station) -> None:
        """The database can be reached again."""
        station.heal()

    async def come_back(self, station: Station) -> None:
        """The database can be reached again, and all calls that waited are in it."""
        station.heal()
        await until(station.one.ledger.is_up)

    async def restart(self, station: Station) -> None:
        """A process ends in peace, and the next one begins."""
        await station.stop()
        await station.start()

    async def die(self, station: Station) -> None:
        """A process is killed, and the next one begins."""
        await station.kill()
        await station.start()


HAPPENINGS = (
    *(Story.call, Story.call, Story.call_again, Story.call_again, Story.lose_an_answer),
    *(Story.cut, Story.cut, Story.heal, Story.come_back, Story.restart, Story.die, Story.die),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Many more seeds with --soak."""
    metafunc.parametrize("seed", range(100 if metafunc.config.getoption("--soak") else 4))


@pytest.mark.program
def test_no_counter_goes_back_and_the_sum_is_exact(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two replicas are cut off, killed and started again at random, and lose answers.

    All that they showed together, less what they say was counted twice, are the calls that ended.
    """
    monkeypatch.setattr(shared, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(lock, "LEASE", 0.5)
    monkeypatch.setattr(shared, "_PATIENCE", 0.5)
    monkeypatch.setattr(session, "STATEMENT_SECONDS", 1.0)
    database = postgres.database()
    stations = [Station(postgres, database, name, tmp_path / name) for name in ("one", "two")]

    async def check() -> None:
        for station in stations:
            await station.start()
        story = Story(random.Random(seed))
        for _ in range(40):
            await story.go_on(stations)
        for _ in range(2):
            for station in stations:
                station.heal()
                await until(station.one.ledger.is_up)
            shown = sum(station.shown() for station in stations)
            assert shown - sum(station.twice() for station in stations) == len(story.calls)
            for station in stations:
                await station.stop()
                await station.start()
        for station in stations:
            await station.stop()

    try:
        asyncio.run(check())
    finally:
        for station in stations:
            station.network.close()
