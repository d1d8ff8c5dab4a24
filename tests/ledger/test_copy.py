"""A ledger copied between disks and databases: counters, calls and notes go on."""

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandwidth_voice_exporter.ledger import LedgerPlace, StoreError, copied
from bandwidth_voice_exporter.ledger.copying import Copied
from bandwidth_voice_exporter.ledger.postgres import horizon, schema
from bandwidth_voice_exporter.ledger.store import FILE, Saved, Store
from bandwidth_voice_exporter.ledger.table import COLUMNS
from bandwidth_voice_exporter.metrics import KINDS, catalog, checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import SECOND, CallEnded
from bandwidth_voice_exporter.voice.clock import now
from testkit import compared, ledgers
from testkit.calls import Event, ended_call
from testkit.cutter import Cutter
from testkit.exporter import Exporter, StartExporter, ran
from testkit.ledgers import call_metrics, older_ledger
from testkit.postgres import Postgres
from testkit.replicas import Opened, ledger, replica

DAY = 24 * 3600 * SECOND
# Every failure has a series of its own.
FLAGS: Mapping[str, str] = {"errors.max-ids": "1000", "errors.max-new-per-minute": "1000"}

pytestmark = pytest.mark.usefixtures("patient_replicas")


def some(number: int, received: int, seed: int = 1) -> list[CallEnded]:
    """Calls with ids of their own, a second apart; one in seven was reconciled."""
    dice = random.Random(seed)
    return [
        msgspec.structs.replace(
            ledgers.a_call(dice, received + place * SECOND), is_reconciled=place % 7 == 3
        )
        for place in range(number)
    ]


def on_disk(directory: Path, calls: Sequence[CallEnded]) -> None:
    """Count calls in a ledger on a disk."""

    async def record() -> None:
        async with ledger({"storage.path": str(directory)}) as one:
            for start in range(0, len(calls), 20):
                await one.record(calls[start : start + 20])
            assert await one.ledger.reserve_notes()
            await one.ledger.put_note("reconcile 1", b"so far")

    asyncio.run(record())


def prune(directory: Path, calls: Sequence[CallEnded]) -> None:
    """Take the oldest rows away from a ledger on a disk."""
    with closing(Store(directory / FILE)) as store:
        middle = calls[len(calls) // 2].received
        for kind in KINDS:
            assert store.prune(kind, middle, now(), store.last_row()).rows


def copy(source: Path | str, target: Path | str, name: str = "one") -> Copied:
    """Copy a ledger, as the command does."""
    places = [
        LedgerPlace(None, one) if isinstance(one, str) else LedgerPlace(one)
        for one in (source, target)
    ]
    return copied(places[0], places[1], name, None)


def database_of(url: str) -> str:
    """The name of the database that a URL names."""
    return url.rpartition("/")[2].partition("?")[0]


def deliver(exporter: Exporter, events: Sequence[Event]) -> None:
    """Deliver events."""
    for event in events:
        assert exporter.send(event).status == 204


def shown(exporter: Exporter) -> tuple[str, list[dict[str, Any]]]:
    """The call metrics of an exporter, and the failures that it lists."""
    answer = exporter.ops.request("GET", "/api/v1/failures?limit=500")
    assert answer.status == 200, answer
    return call_metrics(exporter), json.loads(answer.text)["failures"]


@pytest.mark.program
def test_counters_go_on_in_a_database_and_back(
    exporter: StartExporter, postgres: Postgres, tmp_path: Path
) -> None:
    """Exporters on both sides show the same, and know the same calls, hashed ids included."""
    dice = random.Random(4)
    url = postgres.url(postgres.database())
    here, back, key = tmp_path / "here" / "data", tmp_path / "back" / "data", tmp_path / "key"
    older = some(60, now() - DAY)
    on_disk(here, older)
    prune(here, older)
    events = [ended_call(dice) for _ in range(40)]
    application = "04e88489-df02-4e34-a0ee-27a918495500"
    events.append(ended_call(dice, cause="new-cause", applicationId=application))
    events.append(ended_call(dice, callId="+15555550123"))  # of which a hash is kept
    nameless = {name: text for name, text in events[0].items() if name != "callId"}
    one = exporter(name="here")
    deliver(one, [*events, nameless, nameless])
    before = shown(one)
    one.kill()  # the last calls are in no saved totals

    there = ran(tmp_path, "ledger", "copy", str(here), url, "--replica.name=one")
    assert there.returncode == 0, there.stderr
    assert "1 calls have hashed ids: give all exporters" in there.stdout
    shutil.copy(here / "key", key)
    flags = (f"--ledger.url={url}", "--replica.name=one", f"--ledger.key-file={key}")
    two = exporter(*flags, name="there")
    assert shown(two) == before
    deliver(two, events)
    assert shown(two) == before
    more = [ended_call(dice) for _ in range(20)]
    deliver(two, more)
    after = shown(two)
    two.stop()

    result = ran(tmp_path, "ledger", "copy", url, str(back), f"--ledger.key-file={key}")
    assert result.returncode == 0, result.stderr
    assert "hashed" not in result.stdout
    three = exporter(name="back")
    assert shown(three) == after
    deliver(three, [*events, *more])
    assert shown(three) == after


def exact(one: Opened) -> dict[str, Any]:
    """All of its counts and histograms; error ids, of which only some have a series, summed."""
    counts = one.tally.counts
    errors: dict[tuple[str, ...], int] = {}
    for key, count in counts[catalog.CALL_ERRORS.name].items():
        errors[key[:2]] = errors.get(key[:2], 0) + count.value
    reconciled = counts[catalog.RECONCILED_CALLS.name]
    return {
        **compared.totals(one.tally),
        "errors": errors,
        "reconciled": {key: count.value for key, count in reconciled.items()},
        "last": {key: count.value for key, count in counts[catalog.LAST_EVENT.name].items()},
    }


def test_shares_of_replicas_become_one_ledger(postgres: Postgres, tmp_path: Path) -> None:
    """The counters of all replicas come together, saved or not, as if one had counted all."""
    url = postgres.url(postgres.database())
    calls = some(150, now() - DAY)
    for at in range(0, 150, 11):
        calls[at] = msgspec.structs.replace(
            calls[at], application=f"04e88489-df02-4e34-{at:04x}-27a91849550f"
        )

    async def share() -> None:
        async with replica(url, "one", FLAGS) as one, replica(url, "two", FLAGS) as two:
            await one.record(calls[:50])
            await two.record(calls[40:100])
            assert await one.ledger.reserve_notes()
            await one.ledger.put_note("reconcile 1", b"so far")
        async with replica(url, "two", FLAGS, is_killed=True) as two:
            await two.record(calls[90:])

    asyncio.run(share())
    postgres.ask(database_of(url), "UPDATE bandwidth_voice.replicas SET seen = NULL")
    assert copy(url, tmp_path / "copy").calls == 150
    on_disk(tmp_path / "whole", calls)

    async def check() -> None:
        async with ledger({"storage.path": str(tmp_path / "whole"), **FLAGS}) as whole:
            expected = exact(whole)
        async with ledger({"storage.path": str(tmp_path / "copy"), **FLAGS}) as one:
            assert exact(one) == expected
            assert await one.record(calls) == [False] * 150
            assert await one.ledger.note("reconcile 1") == b"so far"

    asyncio.run(check())


_SHARES = """
    SELECT name, state, counted_twice, spool, spooled FROM bandwidth_voice.replicas ORDER BY name
"""
_ROWS = f"""
    SELECT name, {", ".join(COLUMNS[1:])}, legs.id > last_row FROM bandwidth_voice.legs
    JOIN bandwidth_voice.replicas ON replicas.id = legs.id >> {schema.ROW_BITS} ORDER BY call_id
"""  # noqa: S608  # constants


def kept(postgres: Postgres, url: str) -> list[list[tuple[Any, ...]]]:
    """The contents of a shared ledger, without the numbers of its rows."""
    return [
        postgres.ask(database_of(url), statement)
        for statement in (
            _SHARES,
            "SELECT label, value FROM bandwidth_voice.admitted ORDER BY number",
            "SELECT name, note FROM bandwidth_voice.notes ORDER BY name",
            _ROWS,
        )
    ]


def test_a_shared_ledger_moves_to_another_database(postgres: Postgres, tmp_path: Path) -> None:
    """Each replica goes on there with its own share, saved or not, and knows the calls of all."""
    here, there = (postgres.url(postgres.database()) for _ in range(2))
    calls = some(150, now() - DAY)
    calls[7] = msgspec.structs.replace(calls[7], cause="new-cause")

    async def share() -> None:
        async with replica(here, "one", FLAGS) as one:
            await one.record(calls[:50])
            assert await one.ledger.reserve_notes()
            await one.ledger.put_note("reconcile 1", b"so far")
        async with replica(here, "two", FLAGS, is_killed=True) as two:
            await two.record(calls[40:100])
            await two.record(calls[100:])

    asyncio.run(share())
    # As an outage and the upkeep leave it.
    postgres.ask(
        database_of(here),
        "UPDATE bandwidth_voice.replicas SET seen = NULL, counted_twice = id, "
        "spool = gen_random_uuid(), spooled = 5",
    )
    for name, time in (("pruned normal", 3), ("pruned failure", 2), ("doubted", 1)):
        note = horizon.encoded(time)
        postgres.ask(
            database_of(here), "INSERT INTO bandwidth_voice.notes VALUES ($1, $2)", name, note
        )
    assert copy(here, there).calls == 150
    assert kept(postgres, there) == kept(postgres, here)
    copy(there, tmp_path)
    with closing(Store(tmp_path / FILE, read_only=True)) as store:
        assert store.doubted() == 3

    async def totals(url: str) -> list[dict[str, Any]]:
        found = []
        for name in ("one", "two"):
            async with replica(url, name, FLAGS) as one:
                found.append(exact(one))
                assert await one.record(calls) == [False] * 150
                assert await one.ledger.note("reconcile 1") == b"so far"
        return found

    assert asyncio.run(totals(there)) == asyncio.run(totals(here))


def test_a_copy_is_all_or_nothing(postgres: Postgres, tmp_path: Path) -> None:
    """A connection that is lost meanwhile leaves nothing; then it goes well."""
    database = postgres.database()
    calls = some(300, now() - DAY)
    on_disk(tmp_path / "here", calls)
    back = tmp_path / "back"
    with Cutter(postgres.address, every=8) as network:
        through = postgres.url(database, address=network.address)
        for _ in range(3):
            with pytest.raises(StoreError):
                copy(tmp_path / "here", through)
            there = postgres.ask(database, "SELECT to_regclass('bandwidth_voice.legs') IS NULL")
            if there == [(False,)]:
                there = postgres.ask(database, "SELECT count(*) = 0 FROM bandwidth_voice.legs")
            assert there == [(True,)]
        copy(tmp_path / "here", postgres.url(database))
        for _ in range(3):
            with pytest.raises(StoreError):
                copy(through, back)
            assert not (back / FILE).exists()
        copy(postgres.url(database), back)
    assert not [*back.glob("*.copying*")]
    for directory in (tmp_path / "here", back):
        with closing(Store(directory / FILE, read_only=True)) as store:
            found_calls = sorted(map(str, (call for _, call in store.calls_after(0))))
            assert found_calls == sorted(map(str, calls))


def test_a_ledger_in_use_is_not_copied(postgres: Postgres, tmp_path: Path) -> None:
    """An exporter that runs with it is named, on a disk as in a database, and goes on."""
    url = postgres.url(postgres.database())

    async def check() -> None:
        async with (
            ledger({"storage.path": str(tmp_path / "here")}) as here,
            replica(url, "one") as there,
        ):
            with pytest.raises(StoreError, match="is in use by another exporter"):
                await asyncio.to_thread(copy, tmp_path / "here", tmp_path / "other")
            with pytest.raises(StoreError, match="FROM: an exporter named one lives in this"):
                await asyncio.to_thread(copy, url, tmp_path / "other")
            for one in (here, there):
                assert await one.record(some(3, now())) == [True] * 3

    asyncio.run(check())


def test_what_is_not_empty_is_not_copied_into(postgres: Postgres, tmp_path: Path) -> None:
    """A ledger that is there already, in a file or a database, stays as it is."""
    url = postgres.url(postgres.database())
    on_disk(tmp_path / "here", some(5, now()))
    copy(tmp_path / "here", url)
    copy(tmp_path / "here", tmp_path / "there")
    with pytest.raises(StoreError, match="TO: the ledger is not empty"):
        copy(tmp_path / "here", url)
    with pytest.raises(StoreError, match="there is a ledger already"):
        copy(url, tmp_path / "there" / FILE)
    with pytest.raises(StoreError, match="TO: the ledger is not empty"):
        copy(url, url)
    assert postgres.ask(database_of(url), "SELECT count(*) FROM bandwidth_voice.legs") == [(5,)]


def test_a_ledger_that_is_emptied_as_is_said(postgres: Postgres, tmp_path: Path) -> None:
    """The statements of the error leave a role without other rights able to make it again."""
    database, role = postgres.database(), "copier"
    if not postgres.ask("postgres", "SELECT FROM pg_roles WHERE rolname = $1", role):
        postgres.ask("postgres", f"CREATE ROLE {role} LOGIN")
    postgres.ask(database, f"CREATE SCHEMA bandwidth_voice AUTHORIZATION {role}")
    url = postgres.url(database, user=role)
    on_disk(tmp_path, some(5, now()))
    copy(tmp_path, url)
    with pytest.raises(StoreError, match="TO: the ledger is not empty") as error:
        copy(tmp_path, url)
    for statement in str(error.value).rpartition("owner: ")[2].rstrip(")").split("; "):
        postgres.ask(database, statement)
    assert copy(tmp_path, url).calls == 5


def test_a_wrong_password_is_of_its_own_flag(postgres: Postgres, tmp_path: Path) -> None:
    """The error names the command's flag for the password, not that of an exporter."""
    if not postgres.ask("postgres", "SELECT FROM pg_roles WHERE rolname = 'asked'"):
        postgres.ask("postgres", "CREATE ROLE asked LOGIN PASSWORD 'right'")
    (tmp_path / "password").write_text("mistaken")
    asked = LedgerPlace(None, postgres.url("postgres", user="asked"), tmp_path / "password")
    on_disk(tmp_path / "here", some(1, now()))
    for source, target, flag in (
        (asked, LedgerPlace(tmp_path / "new"), "--from.password-file"),
        (LedgerPlace(tmp_path / "here"), asked, "--to.password-file"),
    ):
        with pytest.raises(StoreError, match=f"the password is wrong: see {flag}"):
            copied(source, target, "one", None)


def test_what_cannot_be_copied_is_said(postgres: Postgres, tmp_path: Path) -> None:
    """No ledger, a database without one or out of reach, another key: a sentence each."""
    url = postgres.url(postgres.database())
    on_disk(tmp_path / "here", some(1, now()))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "key").write_bytes(b"another key, of text")
    for source, target, said in (
        (tmp_path / "nothing", url, "nothing/ledger.sqlite3: there is no ledger"),
        (url, tmp_path / "new", "FROM: there is no ledger in the database"),
        (tmp_path / "here", postgres.url("nowhere"), "TO: there is no such database"),
        (tmp_path / "here", tmp_path / "other", "another key than that of the ledger to copy"),
    ):
        with pytest.raises(StoreError, match=said):
            copy(source, target)


@pytest.mark.program
def test_a_password_is_in_no_command_line(tmp_path: Path) -> None:
    """One in a URL is refused, and not quoted."""
    refused = ran(tmp_path, "ledger", "copy", "data", "postgresql://me:secret@127.0.0.1/calls")
    assert refused.returncode == 2
    assert "TO: a password belongs into --to.password-file" in refused.stderr
    assert "secret" not in refused.stderr


@pytest.mark.parametrize("version", [2, 5, 6])
def test_an_older_ledger_is_copied(tmp_path: Path, version: int) -> None:
    """A ledger of an earlier version is copied as it is, and is not migrated itself."""
    calls = [msgspec.structs.replace(call, is_reconciled=False) for call in some(50, now() - DAY)]
    tally, _ = checkpoint.resume(None, Limits(), {}, now(), calls[:30])
    saved = Saved(30, checkpoint.encode(tally, {}))
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / FILE
    older_ledger(path, calls, version=version, saved=saved)
    assert copy(path, tmp_path / "there").calls == 50
    with closing(Store(tmp_path / "there" / FILE)) as store:
        assert [call for _, call in store.calls_after(0)] == calls
        assert store.checkpoint() == saved
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (version,)
