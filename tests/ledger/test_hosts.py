"""The hosts of a shared ledger's URL: one that hangs keeps nobody from reaching the others."""

import asyncio
import contextlib
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter.ledger.postgres import hosts
from bandwidth_voice_exporter.ledger.postgres.target import (
    AwayError,
    LedgerRefusedError,
    LedgerTarget,
)
from testkit.certificates import Authority
from testkit.ended import ended
from testkit.postgres import NOBODY, USER, Postgres
from testkit.proxy import Proxy
from testkit.replicas import replica, until

LONGEST = 15.0  # seconds that Bandwidth waits for an answer


class Hole:
    """A host that takes connections and never answers, as a machine that stands still."""

    def __init__(self) -> None:
        self.taken = 0
        self.open = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a connection until its client closes it."""
        self.taken += 1
        self.open += 1
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        self.open -= 1
        writer.close()


@contextlib.asynccontextmanager
async def hole(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[Hole, str]]:
    """One that listens in the running event loop, and its address."""
    one = Hole()
    server = await asyncio.start_server(one.take, host, port)
    async with server:
        yield one, "{}:{}".format(*server.sockets[0].getsockname())


async def opened(server: Postgres, address: str, database: str = "postgres") -> int:
    """The port of the host that a connection to some hosts was made with."""
    one = LedgerTarget(server.url(database, address=address), None, "one")
    connection: Any = await one.connect()
    port = await connection.fetchval("SELECT current_setting('port')::int")
    connection.terminate()
    return int(port)


def unused() -> str:
    """An address that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return "{}:{}".format(*sock.getsockname())


def test_a_host_that_hangs_is_passed(postgres: Postgres) -> None:
    """The next host is connected to while the first never answers, whose connection is closed."""

    async def check() -> None:
        async with hole() as (one, nowhere):
            assert await opened(postgres, f"{nowhere},{postgres.address}") == postgres.port
            await until(lambda: one.taken == 1 and one.open == 0)

    asyncio.run(check())


def test_a_host_that_answers_is_the_only_one(postgres: Postgres) -> None:
    """The hosts after one that will do are left alone."""

    async def check() -> None:
        async with hole() as (one, nowhere):
            assert await opened(postgres, f"{postgres.address},{nowhere}") == postgres.port
            assert one.taken == 0

    asyncio.run(check())


def test_why_none_of_the_hosts_would_do(postgres: Postgres) -> None:
    """In the end the error says of each host why not, within the time that callers have."""
    closed = unused()

    async def check() -> None:
        async with hole() as (one, nowhere):
            started = time.monotonic()
            with pytest.raises(AwayError) as error:
                await opened(postgres, f"{nowhere},{closed},{postgres.address}", "nowhere")
            assert time.monotonic() - started < LONGEST / 2
            said = str(error.value)
            assert f"--ledger.url: {nowhere}: the database does not answer in time; " in said
            assert f"; {closed}: ConnectionRefusedError" in said
            assert f"; {postgres.address}: there is no such database: create it first" in said
            await until(lambda: one.open == 0)

    asyncio.run(check())


def test_what_all_hosts_refuse(postgres: Postgres) -> None:
    """A database that none of several hosts has is refused, as where there is one host."""
    url = f"{postgres.address},{postgres.address}"
    with pytest.raises(LedgerRefusedError, match=r"no such database.*; .*no such database"):
        asyncio.run(opened(postgres, url, "nowhere"))


def test_a_cancelled_attempt_leaves_no_connection(postgres: Postgres) -> None:
    """A caller that gives up waiting leaves no connection open to any host."""

    async def check() -> None:
        async with hole() as (one, first), hole() as (two, second):
            task = asyncio.create_task(opened(postgres, f"{first},{second}"))
            await until(lambda: one.open == two.open == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: one.open == two.open == 0)

    asyncio.run(check())


class Made:
    """A connection that only says whether it is open."""

    is_open = True

    def terminate(self) -> None:
        """Close it."""
        self.is_open = False


def test_of_two_at_once_one_is_closed() -> None:
    """Where two hosts answer in the same moment, one connection stays and the other is closed."""

    async def check() -> None:
        made: list[Made] = []
        both = asyncio.Event()

        async def connect(**_: object) -> Any:
            one = Made()
            made.append(one)
            if len(made) == 2:
                both.set()
            await both.wait()
            return one

        won: Any = await hosts.first("postgresql://u@[::1]:1,127.0.0.1:2/d", connect, 3)
        assert len(made) == 2
        assert [one for one in made if one.is_open] == [won]

    asyncio.run(check())


def test_an_address_that_hangs_is_passed(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next address of a name is connected to while the first never answers."""

    async def check() -> None:
        named(monkeypatch, "127.0.0.2", "127.0.0.1")
        async with hole("127.0.0.2", postgres.port) as (one, _):
            assert await opened(postgres, f"db.test:{postgres.port}") == postgres.port
            await until(lambda: one.taken == 1 and one.open == 0)

    asyncio.run(check())


@pytest.mark.needs("postgres", "initdb")
def test_a_certificate_is_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever address is connected to, sslmode=verify-full compares the certificate's name."""
    authority = Authority()

    async def connect(name: str, port: int, folder: Path) -> None:
        named(monkeypatch, "127.0.0.1")
        tls = f"sslmode=verify-full&sslrootcert={folder}/ca.pem"
        url = f"postgresql://{USER}@{name}:{port}/postgres?{tls}"
        (await LedgerTarget(url, None, "one").connect()).terminate()

    with tempfile.TemporaryDirectory(prefix="postgres-tls-") as directory:
        folder = Path(directory)
        (folder / "ca.pem").write_bytes(authority.pem)
        pair = authority.issue(folder, identity="db.test")
        pair.key_file.chmod(0o600)
        if not os.geteuid():
            for one in (folder, *folder.iterdir()):
                os.chown(one, NOBODY, NOBODY)
        files = (f"ssl_cert_file={pair.cert_file}", f"ssl_key_file={pair.key_file}")
        with Postgres(settings=["ssl=on", *files]) as server:
            asyncio.run(connect("db.test", server.port, folder))
            with pytest.raises(LedgerRefusedError, match="certificate is not trusted"):
                asyncio.run(connect("other.test", server.port, folder))


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have some addresses, in the running event loop."""

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def test_a_host_that_begins_to_hang(postgres: Postgres) -> None:
    """Calls go on by way of the next host once the first stands still in the middle of a run."""
    database = postgres.database()

    async def check(first: Proxy) -> None:
        url = postgres.url(database, address=f"{first.address},{postgres.address}")
        async with hole() as (_, nowhere), replica(url, "one") as one:
            assert await one.record([ended(call_id="c-1")]) == [True]
            first.lead_to(nowhere)
            first.stall()
            started = time.monotonic()
            assert await one.record([ended(call_id="c-2")]) == [True]
            assert time.monotonic() - started < LONGEST
            await until(one.ledger.is_up)
            assert await one.record([ended(call_id="c-3")]) == [True]

    with Proxy(postgres.address) as first:
        asyncio.run(check(first))
    assert postgres.ask(database, "SELECT count(*) FROM bandwidth_voice.legs") == [(3,)]
