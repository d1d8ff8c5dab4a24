"""Replicas of one ledger beside a list of calls: one compares for all of them, the next goes on."""

import asyncio
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from testkit import call_list, waiting
from testkit.call_list import CallList
from testkit.calls import Event, expected
from testkit.exporter import MODULE, Exporter, environment, ran
from testkit.fleet import Fleet
from testkit.listing import calls, listing, told, wait_for_the_end
from testkit.postgres import Postgres
from testkit.replicas import replica

_FLAGS = (
    "--reconcile.interval=1s",
    "--reconcile.settle=0s",
    "--reconcile.record",
    "--metrics.newborn-hold=100ms",
)
_NAME = "bandwidth_voice_exporter_reconcile_"


def found(exporter: Exporter, verdict: str) -> float:
    """How many listed calls it gave a verdict."""
    return exporter.metrics()[f"{_NAME}calls_total", frozenset({("verdict", verdict)})]


def success(exporter: Exporter) -> float:
    """When it last knew of a comparison."""
    return exporter.metrics()[f"{_NAME}last_success_timestamp_seconds", frozenset()]


def add(listed: CallList, dice: random.Random, number: int) -> list[Event]:
    """Let there be calls that no webhook tells of."""
    lost = listing(listed, calls(dice, number))
    wait_for_the_end(lost)
    return lost


def wait_for(fleet: Fleet, events: Sequence[Event]) -> None:
    """Wait until all calls are counted, over all replicas."""
    waiting.until(lambda: fleet.counted() == expected(events), "all calls counted, once", 60)


@pytest.mark.program
def test_one_replica_compares_at_a_time(postgres: Postgres, tmp_path: Path) -> None:
    """Each missed call is recorded once, also where the replica that compares is killed."""
    dice = random.Random(5)
    url = postgres.url(postgres.database())
    with CallList() as listed, Fleet(tmp_path, url) as fleet:
        flags = (*listed.flags, call_list.credentials(tmp_path), *_FLAGS)
        one, two = (fleet.start(name, *flags) for name in ("one", "two"))
        events = calls(dice, 110)
        told(one, listed, events)
        events += add(listed, dice, 10)
        wait_for(fleet, events)
        waiting.until(lambda: success(one) and success(two), "both to know of a comparison")
        first, second = (one, two) if found(one, "recorded") else (two, one)
        assert (found(first, "recorded"), found(second, "recorded")) == (10, 0)
        assert sum(found(second, verdict) for verdict in ("counted", "missed")) == 0
        first.kill()
        events += add(listed, dice, 7)
        waiting.until(lambda: found(second, "recorded") == 7, "the other one to go on", 60)
        fleet.start("one" if first is one else "two", *flags)
        wait_for(fleet, events)
        assert second.send(events[-1]).status == 204
        assert fleet.counted() == expected(events)
        asked = [*MODULE, "reconcile", f"--ledger.url={url}", *flags[:-2]]
        report = subprocess.run(
            asked,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(tmp_path),
        )
        assert "110 of 127 listed calls were counted by webhooks, 17 from the list" in report.stdout


@pytest.mark.program
def test_a_comparison_takes_one_connection(postgres: Postgres, tmp_path: Path) -> None:
    """However many calls it looks up."""
    database = postgres.database()
    url = postgres.url(database)

    def sessions() -> int:
        live = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        ended = "all of them to have ended, which are counted then"
        waiting.until(lambda: postgres.ask("postgres", live, database) == [(0,)], ended)
        number = "SELECT sessions FROM pg_stat_database WHERE datname = $1"
        return int(postgres.ask("postgres", number, database)[0][0])

    async def begin() -> None:
        async with replica(url, "one"):
            pass

    asyncio.run(begin())
    with CallList() as listed:
        flags = (*listed.flags, call_list.credentials(tmp_path), "--reconcile.settle=0s")
        add(listed, random.Random(6), 230)
        before = sessions()
        report = ran(tmp_path, "reconcile", f"--ledger.url={url}", *flags)
        assert "0 of 230 listed calls were counted by webhooks" in report.stdout, report.stderr
        # One before asks since when there are calls.
        assert sessions() == before + 2
