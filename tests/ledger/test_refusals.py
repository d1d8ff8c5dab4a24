"""A database that will not do is refused with a sentence that says what to do."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger.database import NewerSchemaError, StoreError
from bandwidth_voice_exporter.ledger.postgres import rows, schema, target
from bandwidth_voice_exporter.ledger.postgres.session import Session
from bandwidth_voice_exporter.ledger.postgres.shared import SharedLedger
from bandwidth_voice_exporter.ledger.postgres.spool import FILE
from bandwidth_voice_exporter.ledger.postgres.target import (
    AwayError,
    LedgerRefusedError,
    LedgerTarget,
)
from bandwidth_voice_exporter.ledger.query import Query
from testkit.ended import ended
from testkit.exporter import ran
from testkit.pooler import AnyPooler, PgBouncer
from testkit.postgres import Postgres
from testkit.replicas import replica

_ROLES = (
    "CREATE ROLE asked LOGIN PASSWORD 'right'",
    "CREATE ROLE encrypted LOGIN",
    "CREATE ROLE powerless LOGIN",
    "CREATE ROLE reader LOGIN",
    "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0",
)


def refusal(
    server: Postgres, user: str, database: str, password_file: Path | None = None, more: str = ""
) -> StoreError:
    """The error with which a replica is refused."""
    for role in _ROLES:
        if not server.ask("postgres", "SELECT FROM pg_roles WHERE rolname = $1", role.split()[2]):
            server.ask("postgres", role)
    url = server.url(database, user=user) + more
    with pytest.raises(StoreError) as refused:
        asyncio.run(
            Session.open(LedgerTarget(url, password_file, "one"), uuid.uuid4(), is_first=True)
        )
    return refused.value


def test_a_wrong_password(postgres: Postgres, tmp_path: Path) -> None:
    """It is told, with where it comes from, and not quoted; the right one is taken."""
    file = tmp_path / "password"
    file.write_text("mistaken\n")
    error = refusal(postgres, "asked", "postgres", file)
    assert isinstance(error, LedgerRefusedError)
    assert "the password is wrong: see --ledger.password-file" in str(error)
    assert "mistaken" not in str(error)
    file.write_text("right\n")
    assert "schema" in str(refusal(postgres, "asked", "postgres", file))


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("powerless", "nowhere", "there is no such database: create it first"),
        ("powerless", "postgres", "it needs CONNECT, and to own the schema bandwidth_voice"),
        ("encrypted", "postgres", "or asks for TLS (sslmode in the URL)"),
        ("unknown", "postgres", "the server lets no such role in"),
    ],
)
def test_what_no_time_mends(postgres: Postgres, user: str, database: str, said: str) -> None:
    """An unknown database, a role without rights and TLS that is demanded are told at once."""
    error = refusal(postgres, user, database)
    assert isinstance(error, LedgerRefusedError)
    assert said in str(error)


def test_too_few_connections(postgres: Postgres) -> None:
    """Where no connection is left it counts as away, and the error says which limits there are."""
    error = refusal(postgres, "crowded", "postgres")
    assert isinstance(error, AwayError)
    assert "needs three, raise the server's max_connections or the CONNECTION LIMIT" in str(error)


def test_an_encoding_without_every_character(postgres: Postgres) -> None:
    """A database that could not take every text is refused, and the error says how to make one."""
    error = refusal(postgres, "exporter", encoded(postgres, "LATIN1"))
    assert isinstance(error, LedgerRefusedError)
    assert "the database's encoding is LATIN1" in str(error)
    assert "create one with TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'" in str(error)


def test_bytes_of_no_encoding(postgres: Postgres) -> None:
    """A database that keeps bytes as they come takes every text, and gives it back."""
    database = encoded(postgres, "SQL_ASCII")
    calls = [ended(call_id="c-1", cause="busy", error_message="話é🎈")]

    async def check() -> None:
        async with replica(postgres.url(database), "one") as one:
            assert await one.record(calls) == [True]
            assert await one.record(calls) == [False]
            assert one.reader
            page = await asyncio.to_thread(one.reader.page, Query())
            assert [found.error_message for _, found in page.calls] == ["話é🎈"]

    asyncio.run(check())


def encoded(server: Postgres, encoding: str) -> str:
    """A database of an encoding."""
    name = f"t{uuid.uuid4().hex}"
    server.ask(
        "postgres",
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' "
        f"LC_CTYPE 'C'",
    )
    return name


@pytest.mark.parametrize("whose", ["ROLE reader", "DATABASE {database}"])
def test_a_role_that_only_reads(postgres: Postgres, whose: str) -> None:
    """A role or a database that is set to read only is refused, with what to reset."""
    database = postgres.database()
    readable = whose.format(database=database)
    refusal(postgres, "reader", database)
    postgres.ask("postgres", f"ALTER {readable} SET default_transaction_read_only = on")
    error = refusal(postgres, "reader", database)
    postgres.ask("postgres", f"ALTER {readable} RESET default_transaction_read_only")
    assert isinstance(error, LedgerRefusedError)
    assert "ALTER ROLE … RESET default_transaction_read_only" in str(error)


@pytest.mark.needs("postgres", "initdb")
def test_a_server_that_only_reads() -> None:
    """A server that takes no writes counts as away: it may again, once its disk has room."""
    with Postgres(settings=["default_transaction_read_only=on"]) as server:
        one = LedgerTarget(server.url("postgres"), None, "one")
        with pytest.raises(AwayError, match="the server takes no writes at present"):
            asyncio.run(one.connect())


def test_tls_where_there_is_none(postgres: Postgres) -> None:
    """A server without TLS is told where the URL asks for it."""
    url = postgres.url("postgres").replace("sslmode=disable", "sslmode=require")
    with pytest.raises(LedgerRefusedError, match="sslmode asks for TLS, and the server has none"):
        asyncio.run(Session.open(LedgerTarget(url, None, "one"), uuid.uuid4(), is_first=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("sslmode=verify-full", "sslmode=verify-full needs .*: sslrootcert=FILE in the URL"),
        ("sslmode=require&sslrootcert={0}/none", "sslrootcert .*/none: No such file or directory"),
        (
            "sslmode=verify-ca&sslrootcert={0}/text",
            r"sslrootcert .*/text: it has nothing of the kin",
        ),
        ("sslmode=prefer&sslcert={0}/none", "sslcert .*/none: No such file or directory"),
    ],
)
def test_files_of_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    """A certificate that is not named, not there, or none is refused before any connection."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text").write_text("no certificate\n")
    url = f"postgresql://nobody@127.0.0.1:1/none?{options.format(tmp_path)}"
    with pytest.raises(LedgerRefusedError, match=f"^--ledger.url: {said}"):
        asyncio.run(LedgerTarget(url, None, "one").connect())


@pytest.mark.parametrize("option", ["sslmode=disable&sslrootcert={0}/none", "sslmode=prefer"])
def test_files_that_tls_does_not_need(tmp_path: Path, option: str) -> None:
    """What is not used is not looked at."""
    url = f"postgresql://nobody@127.0.0.1:1/none?{option.format(tmp_path)}"
    LedgerTarget(url, None, "one").check()


@pytest.mark.program
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--ledger.url=postgresql://nobody@h/none?sslmode=verify-full&sslrootcert=none",),
            "--ledger.url: sslrootcert none: No such file or directory",
        ),
        (
            ("--ledger.url=postgresql://nobody@h/none", "--ledger.password-file=none"),
            "--ledger.password-file none: No such file or directory",
        ),
    ],
)
def test_files_before_the_start(tmp_path: Path, flags: Sequence[str], said: str) -> None:
    """--check-config refuses a file of the connection's that is not there."""
    found = ran(tmp_path, *flags, "--check-config")
    assert found.returncode == 2
    assert said in found.stderr


_POOLER = "a pooler is between, such as PgBouncer: its transaction mode breaks the locks"


def through(address: str, server: Postgres) -> str:
    """The message with which a replica that connects to an address is refused."""
    one = LedgerTarget(server.url("postgres", address=address), None, "one")
    with pytest.raises(LedgerRefusedError) as refused:
        asyncio.run(Session.open(one, uuid.uuid4(), is_first=True))
    return str(refused.value)


def test_any_pooler(postgres: Postgres) -> None:
    """A pooler is recognised by a process id that is not the one of the server's session."""
    with AnyPooler(postgres.address) as pooler:
        assert _POOLER in through(pooler.address, postgres)


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize(
    "setting", ["", f"ignore_startup_parameters = {', '.join(target.SESSION)}"]
)
def test_pgbouncer(postgres: Postgres, setting: str) -> None:
    """PgBouncer in transaction mode is refused, also where it lets the session's settings pass."""
    with PgBouncer(postgres.port, setting) as pooler:
        assert _POOLER in through(pooler.address, postgres)


def test_an_old_server(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is older than what was tried is refused, with its version."""
    monkeypatch.setattr(target, "OLDEST_SERVER", 990000)
    error = refusal(postgres, "exporter", "postgres")
    assert "PostgreSQL 15 is too old: 99 or later is needed" in str(error)


def test_an_earlier_version_is_migrated(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first exporter that knows a later schema makes it, while an earlier one goes on."""
    database = postgres.database()
    call = ended(call_id="c-1")

    async def check() -> None:
        first, second = (
            LedgerTarget(postgres.url(database), None, name) for name in ("one", "two")
        )
        with monkeypatch.context() as earlier:
            earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
            one = await Session.open(first, uuid.uuid4(), is_first=True)
        two = await Session.open(second, uuid.uuid4(), is_first=True)
        row = rows.first_row(one.replica) + 1
        assert await one.insert([(row, call)]) == {row}
        assert await two.find([call]) == {("c-1", "disconnect"): row}
        one.close()
        two.close()

    asyncio.run(check())
    versions = "SELECT version FROM bandwidth_voice.versions ORDER BY version"
    assert postgres.ask(database, versions) == [(1,), (2,)]


def test_a_ledger_of_a_later_version(postgres: Postgres) -> None:
    """A schema that asks for a later exporter is not written to; one that does not is."""
    database = postgres.database()
    one = LedgerTarget(postgres.url(database), None, "one")

    async def opened() -> None:
        (await Session.open(one, uuid.uuid4(), is_first=True)).close()

    asyncio.run(opened())
    postgres.ask(database, "INSERT INTO bandwidth_voice.versions VALUES (98, 1)")
    asyncio.run(opened())
    postgres.ask(database, "INSERT INTO bandwidth_voice.versions VALUES (99, 99)")
    with pytest.raises(NewerSchemaError, match="version 99, this exporter knows 2"):
        asyncio.run(opened())


def test_a_refused_start_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database refuses the ledger, the file that calls would wait in is closed again."""

    async def refuse(_: object) -> None:
        raise LedgerRefusedError("--ledger.url: not today")

    async def check() -> None:
        flags = {"storage.path": str(tmp_path / "data")}
        with pytest.raises(LedgerRefusedError):
            async with replica("postgresql://nobody@127.0.0.1:1/none", "one", flags):
                pass

    monkeypatch.setattr(SharedLedger, "begin", refuse)
    asyncio.run(check())
    assert (tmp_path / "data" / FILE).exists()
    files = Path("/proc/self/fd").iterdir()
    assert not any(str(tmp_path) in str(file.readlink()) for file in files if file.is_symlink())
