"""The programs that are compared, each started on the server's core and asked what it counted."""

import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.peers.install import JSON_EXPORTER, OTELCOL, PYTHON, TELEGRAF
from lab.speed.events import AUTHORIZATION, PASSWORD, PATH, USER

SERVER_CORE, LOAD_CORE = "0", "1"

BARE = "bare uvicorn, 204"
MEMORY = "exporter, ledger in memory"
DISK = "exporter, ledger on disk"
STARLETTE = "Starlette by hand, nothing durable"
LEAN = "the least by hand, nothing durable"
FASTAPI = "FastAPI by hand, nothing durable"
BY_TELEGRAF = "Telegraf, nothing durable"
BY_JSON_EXPORTER = "json_exporter, nothing durable"
BY_OTELCOL = "OpenTelemetry Collector, nothing durable"

_ROOT = Path(__file__).parents[2]
_APPLICATIONS = {
    BARE: "lab.peers.bare:application",
    STARLETTE: "lab.peers.starlette_receiver:application",
    LEAN: "lab.peers.lean_receiver:application",
    FASTAPI: "lab.peers.fastapi_receiver:application",
}
_PEERS = _ROOT / "lab" / "peers"
_GO = {
    BY_TELEGRAF: (TELEGRAF, ["--config", str(_PEERS / "telegraf.conf")]),
    BY_JSON_EXPORTER: (JSON_EXPORTER, ["--exporter-config", str(_PEERS / "json_exporter.yaml")]),
    BY_OTELCOL: (OTELCOL, ["--config", str(_PEERS / "otelcol.yaml")]),
}
_TICKS = os.sysconf("SC_CLK_TCK")
_COUNTED = re.compile(r"^bandwidth_voice_calls_total\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Running:
    """A started receiver; ``metrics`` is None where it counts nothing."""

    pid: int
    address: str
    metrics: str | None
    scheme: str
    ready_seconds: float

    @property
    def url(self) -> str:
        """The URL that events go to."""
        return f"{self.scheme}://{self.address}{PATH}"

    def counted(self) -> int:
        """The calls that /metrics shows."""
        return round(sum(float(value) for value in _COUNTED.findall(self.scrape())))

    def scrape(self) -> str:
        """The text of /metrics."""
        scheme = self.scheme if self.metrics == self.address else "http"
        anybody = ssl._create_unverified_context() if scheme == "https" else None  # noqa: S323, SLF001  # made for this run
        with urllib.request.urlopen(
            f"{scheme}://{self.metrics}/metrics", context=anybody
        ) as answer:
            text: str = answer.read().decode()
        return text

    def processor_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def written_bytes(self) -> int:
        """Return the bytes that it has made the disk write."""
        counters = Path(f"/proc/{self.pid}/io").read_text()
        return int(re.findall(r"^write_bytes: (\d+)$", counters, re.MULTILINE)[0])

    def resident_mb(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024 / 1e6


def all_receivers() -> list[str]:
    """Those that can be started here."""
    built = [name for name, (program, _) in _GO.items() if program.exists()]
    return [BARE, MEMORY, DISK, LEAN, STARLETTE, FASTAPI, *built]


@contextmanager
def started(
    name: str,
    directory: Path,
    *,
    args: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
    program: Sequence[str] = ("bandwidth_voice_exporter",),
) -> Iterator[Running]:
    """Run a receiver by its name; an exporter on disk keeps its ledger in the directory.

    ``program`` is the module that runs an exporter, and what it takes before its options.
    """
    address, metrics = _free(), _free()
    environment = {
        "WEBHOOK_USERNAME": USER,
        "WEBHOOK_PASSWORD": PASSWORD,
        "WEBHOOK_AUTHORIZATION": AUTHORIZATION,
        "WEBHOOK_ADDRESS": address,
        "METRICS_ADDRESS": metrics,
    }
    if name in (MEMORY, DISK):
        options = _exporter(name, directory, address, metrics, certificate)
        command = [sys.executable, "-m", *program, *options, *args]
    elif name in _GO:
        built, options = _GO[name]
        command = [str(built), *options]
        if name == BY_JSON_EXPORTER:
            command += ["--listen-address", address]
            metrics = address
    else:
        command = _uvicorn(_APPLICATIONS[name], address, certificate)
        metrics = address
    log = directory / "log"
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *command],
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )
    try:
        _wait_for(address, process, log)
        yield Running(
            process.pid,
            address,
            None if name == BARE else metrics,
            "https" if certificate else "http",
            time.perf_counter() - began,
        )
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(60)


def _exporter(
    name: str,
    directory: Path,
    address: str,
    metrics: str,
    certificate: tuple[Path, Path] | None,
) -> list[str]:
    options = [f"--webhook.listen-address={address}", f"--web.listen-address={metrics}"]
    options += [f"--storage.path={directory / 'ledger' if name == DISK else ''}"]
    if certificate:
        config = directory / "webhook.yml"
        cert, key = certificate
        config.write_text(f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n")
        options.append(f"--webhook.config.file={config}")
    return options


def _uvicorn(application: str, address: str, certificate: tuple[Path, Path] | None) -> list[str]:
    host, _, port = address.rpartition(":")
    command = [str(PYTHON), "-m", "uvicorn", "--app-dir", str(_ROOT), application]
    command += ["--host", host, "--port", port, "--no-access-log", "--log-level", "warning"]
    command += ["--loop", "uvloop", "--http", "httptools"]
    if certificate:
        command += ["--ssl-certfile", str(certificate[0]), "--ssl-keyfile", str(certificate[1])]
    return command


def _free() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"not ready: {log.read_text()}")
