"""A real PostgreSQL server in a directory of its own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from testkit import programs
from testkit.closing import Closing
from testkit.process import Process

USER = "exporter"
STANDBY = "standby"
NOBODY = 65534  # as root it does not run
# The clients that it asks for a password, and for TLS.
_ACCESS = """
host all asked 127.0.0.1/32 scram-sha-256
hostssl all encrypted 127.0.0.1/32 trust
host all encrypted 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""
_QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=60")


def program(name: str) -> str:
    """The path of one of its programs: Debian keeps them out of PATH."""
    return programs.path(name)


def as_somebody(command: Sequence[str]) -> list[str]:
    """The command as a user that these programs start as: not as root."""
    if os.geteuid():
        return [*command]
    ids = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL")
    return ["setpriv", *ids, *command]


def _new(data: Path) -> list[str]:
    command = [program("initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-N"]
    return [*command, "--locale=C.UTF-8", "-E", "UTF8", "--no-instructions"]


def _initialise(data: Path) -> None:
    """Make the files of a new server: those of an earlier one again, in a fifth of the time."""
    version = Path(program("initdb")).resolve().parents[1].name
    template = programs.TOOLS / f"postgres-{version}-new"
    if template.exists():
        _run(["cp", "-a", str(template), str(data)])  # owners too
        return
    _run(as_somebody(_new(data)))
    template.parent.mkdir(exist_ok=True)
    copy = template.with_name(f"{template.name}-{uuid.uuid4().hex}")
    _run(["cp", "-a", str(data), str(copy)])
    try:
        copy.rename(template)
    except OSError:  # another test's was there first
        shutil.rmtree(copy)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/")


def _copy(data: Path, port: int) -> list[str]:
    where = f"host=127.0.0.1 port={port} user={USER} sslmode=disable application_name={STANDBY}"
    return [program("pg_basebackup"), "-d", where, "-D", str(data), "-R", "-c", "fast", "-N"]


class Postgres(Closing):
    """It answers once it is constructed; without `is_durable` it does not wait for the disk.

    With a `primary` it is a standby of it, by the name STANDBY.
    """

    def __init__(
        self,
        *,
        is_durable: bool = False,
        settings: Sequence[str] = (),
        primary: "Postgres | None" = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self.directory / "data"
        if not os.geteuid():
            os.chown(self.directory, NOBODY, NOBODY)
        if primary is None:
            _initialise(self._data)
        else:
            _run(as_somebody(_copy(self._data, primary.port)))
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self._settings = [*(() if is_durable else _QUICK), *settings]
        self._logs = self.directory / "logs"
        self.start()

    @property
    def address(self) -> str:
        """The address that it listens on."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str, *, address: str | None = None, user: str = USER) -> str:
        """The URL that an exporter is given."""
        return f"postgresql://{user}@{address or self.address}/{database}?sslmode=disable"

    def start(self) -> None:
        """Start it, where it is stopped."""
        given = [one for setting in self._settings for one in ("-c", setting)]
        command = [program("postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *given]
        self.process = Process(as_somebody(command), self._logs)
        try:
            self.process.wait_until(self._answers, "PostgreSQL to answer", 60)
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", self.port)):
                return False
        try:
            self.ask("postgres", "SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it: connections are closed (SIGINT), or nothing is put in order (SIGQUIT)."""
        self.process.send_signal(number)
        self.process.wait(60)

    def restart(self) -> None:
        """Let it crash, and come back."""
        self.stop(signal.SIGQUIT)
        self.start()

    def promote(self) -> None:
        """Let a standby take writes."""
        assert self.ask("postgres", "SELECT pg_promote(true, 60)") == [(True,)]

    def database(self) -> str:
        """Create an empty database."""
        name = f"t{uuid.uuid4().hex}"
        self.ask("postgres", f"CREATE DATABASE {name}")
        return name

    def ask(self, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement finds."""

        async def answer() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url(database), timeout=20)
            try:
                return [tuple(row) for row in await connection.fetch(statement, *values)]
            finally:
                await connection.close()

        return asyncio.run(answer())

    def close(self) -> None:
        """Kill it if it still runs, and take its directory away."""
        if self.process.exit_code is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)
