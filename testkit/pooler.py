"""Poolers between an exporter and its database: a real PgBouncer, and the sign of any."""

import asyncio
import os
import socket
import tempfile
from pathlib import Path

from testkit import programs
from testkit.closing import Closing
from testkit.postgres import NOBODY, USER, as_somebody
from testkit.process import Process
from testkit.proxy import Proxy

# BackendKeyData: its type and its length, before the process id.
_KEY = b"K\x00\x00\x00\x0c"


class PgBouncer(Closing):
    """A real one before the database "postgres" of a server, with settings of its own."""

    def __init__(self, port: int, *settings: str) -> None:
        """Listen on a loopback port, which `address` names."""
        self._folder = tempfile.TemporaryDirectory(prefix="pgbouncer-")
        directory = Path(self._folder.name)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            own: int = sock.getsockname()[1]
        self.address = f"127.0.0.1:{own}"
        lines = [
            "[databases]",
            f"postgres = host=127.0.0.1 port={port} user={USER}",
            *("[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {own}"),
            *("unix_socket_dir =", "auth_type = any", "pool_mode = transaction", *settings),
        ]
        (directory / "pgbouncer.ini").write_text("".join(f"{line}\n" for line in lines))
        if not os.geteuid():
            os.chown(directory, NOBODY, NOBODY)
        command = [programs.path("pgbouncer"), str(directory / "pgbouncer.ini")]
        self.process = Process(as_somebody(command), directory / "logs")
        self.process.wait_until(lambda: not self._refuses(own), "PgBouncer to listen")

    @staticmethod
    def _refuses(port: int) -> int:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port))

    def close(self) -> None:
        """End it."""
        self.process.close()
        self._folder.cleanup()


class AnyPooler(Proxy):
    """Passes all on but the server's process id: it has one of its own, as a pooler has."""

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            before, key, after = data.partition(_KEY)
            writer.write(before + key + b"\x00\x00\x00\x01" + after[4:] if key else data)
        writer.close()
