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
_NOBODY = 65534  # as root it does not run
# Whom it asks for a password, and whom for TLS.
_ACCESS = """
host all asked 127.0.0.1/32 scram-sha-256
hostssl all encrypted 127.0.0.1/32 trust
host all encrypted 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
"""
_QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=60")


def program(name: str) -> str:
    """Where one of its programs is: Debian keeps them out of PATH."""
    return programs.path(name)


def _as_somebody(command: Sequence[str]) -> list[str]:
    if os.geteuid():
        return [*command]
    ids = (f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--pdeathsig=KILL")
    return ["setpriv", *ids, *command]


def _initialise(data: Path) -> None:
    """Make the files of a new server: those of an earlier one again, in a fifth of the time."""
    version = Path(program("initdb")).resolve().parents[1].name
    template = programs.TOOLS / f"postgres-{version}-new"
    if template.exists():
        _copy(template, data)
        return
    command = [program("initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-N"]
    command += ["--locale=C.UTF-8", "-E", "UTF8", "--no-instructions"]
    subprocess.run(_as_somebody(command), check=True, capture_output=True, cwd="/")
    template.parent.mkdir(exist_ok=True)
    copy = template.with_name(f"{template.name}-{uuid.uuid4().hex}")
    _copy(data, copy)
    try:
        copy.rename(template)
    except OSError:  # another test's was there first
        shutil.rmtree(copy)


def _copy(source: Path, copy: Path) -> None:
    command = ["cp", "-a", str(source), str(copy)]  # owners too
    subprocess.run(command, check=True, capture_output=True)


class Postgres(Closing):
    """It answers once it is constructed; without `is_durable` it does not wait for the disk."""

    def __init__(self, *, is_durable: bool = False, settings: Sequence[str] = ()) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self.directory / "data"
        if not os.geteuid():
            os.chown(self.directory, _NOBODY, _NOBODY)
        _initialise(self._data)
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self._settings = [*(() if is_durable else _QUICK), *settings]
        self._logs = self.directory / "logs"
        self.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str, *, address: str | None = None, user: str = USER) -> str:
        """What an exporter is given."""
        return f"postgresql://{user}@{address or self.address}/{database}?sslmode=disable"

    def start(self) -> None:
        """Start it, where it is stopped."""
        given = [one for setting in self._settings for one in ("-c", setting)]
        command = [program("postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *given]
        self.process = Process(_as_somebody(command), self._logs)
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
