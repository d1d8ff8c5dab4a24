"""The programs of the demonstration; all of them end with it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from bandwidth_voice_exporter.metrics import catalog
from demo.start import PROGRAMS, ROOT
from testkit import programs, waiting
from testkit.alertmanager import Alertmanager
from testkit.client import Client
from testkit.exporter import MODULE, Exporter
from testkit.prometheus import Job
from testkit.ruler import Ruler, alertmanager_config
from testkit.simulator import Simulation

LOOPBACK = "127.0.0.1"
JOB = "bandwidth-voice"
# The first of these that is there: Debian's packages have no pages for people.
OF_PROMETHEUS = ("/alerts", "/classic/alerts", "/api/v1/alerts")
OF_MANAGER = ("/", "/api/v2/alerts")
_FLAGS = (
    "--web.enable-remote-write-receiver",
    # One block for everything: then no sample is too old to be written.
    "--storage.tsdb.min-block-duration=100d",
    "--storage.tsdb.max-block-duration=100d",
    "--query.max-samples=500000000",
)


class Clock(NamedTuple):
    """Says lines, the first of them with the seconds since it ``began`` (unix seconds)."""

    began: float

    def say(self, *lines: str) -> None:
        """Print lines."""
        seconds = f"{time.time() - self.began:4.0f} s  "
        print(*under(seconds, lines), sep="\n", flush=True)


def under(head: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines with a head before the first, and as much space before the others."""
    for number, line in enumerate(lines):
        yield f"{' ' * len(head) if number else head}{line}"


def free_port(wanted: int) -> int:
    """Return the port if nobody has it, else one that nobody has."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")


def exporter(folder: Path, names: Mapping[str, str], alerts_port: int) -> Exporter:
    """Start the exporter on its usual ports where they are free; its ledger is in the folder."""
    return Exporter(
        folder / "exporter",
        f"--web.listen-address={LOOPBACK}:{free_port(10060)}",
        f"--webhook.listen-address={LOOPBACK}:{free_port(10061)}",
        f"--web.alerts-url=http://{LOOPBACK}:{alerts_port}",
        "--metrics.newborn-hold=2s",  # scrapes are a second apart here
        *(f"--labels.application={key}={name}" for key, name in names.items()),
    )


def simulate(stack: ExitStack, folder: Path, target: str, *flags: str) -> Path:
    """Start the simulator; return the pipe that tells it of incidents."""
    control = folder / "control"
    os.mkfifo(control)
    stack.enter_context(Simulation(folder / "simulator", target, f"--control={control}", *flags))
    return control


def first_call(running: Exporter) -> str:
    """Wait for a call, and return how the first ones ended."""
    return waiting.until(lambda: counted(running), "a call", 60)


def counted(running: Exporter) -> str:
    """Return the calls so far by their causes, most first; empty before the first."""
    causes: dict[str, int] = {}
    for (name, labels), value in running.metrics().items():
        if name == catalog.CALLS.name and value:
            cause = dict(labels)["cause"]
            causes[cause] = causes.get(cause, 0) + int(value)
    ordered = sorted(causes.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{number} {cause}" for cause, number in ordered)


def is_fetched() -> bool:
    """Whether Prometheus and Alertmanager are there."""
    return programs.missing(*PROGRAMS) is None


def fetch() -> str:
    """Fetch Prometheus and Alertmanager, if they are not there; return why they cannot be had."""
    command = [sys.executable, str(ROOT / "tools" / "fetch_debian.py"), *PROGRAMS]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if is_fetched() else run.stderr.strip() or "Prometheus cannot be fetched"


def alertmanager(folder: Path, receiver: str, port: int) -> Alertmanager:
    """Start an Alertmanager with the example's routes, which lead to a receiver of messages."""
    config = alertmanager_config(folder, receiver, group_wait="1s", group_interval="5s")
    return Alertmanager(folder / "alertmanager", config, port)


def prometheus(folder: Path, scraped: str, manager: str) -> Ruler:
    """Start a Prometheus that scrapes an address every second and takes a past over its API."""
    return Ruler(
        folder / "prometheus",
        Job(JOB, [scraped]),
        alertmanager=manager,
        flags=_FLAGS,
        port=free_port(9090),
    )


def rules(folder: Path, exporter_url: str, scale: int) -> Path:
    """Write the rules for a clock that is so many times as fast."""
    file = folder / "rules.yml"
    links = f"--web.external-url={exporter_url}"
    command = [*MODULE, "rules", f"--time-scale={scale}", links, f"--output={file}"]
    subprocess.run(command, check=True)
    return file


def page(address: str, paths: Sequence[str]) -> str:
    """Return the address of the first path that answers 200."""
    client = Client(address)
    try:
        for path in paths:
            if client.request("GET", path).status == HTTPStatus.OK:
                return f"http://{address}{path}"
    finally:
        client.close()
    raise AssertionError(f"none of {', '.join(paths)} is at {address}")


def disk(folder: Path) -> str:
    """Return how much disk the installed programs and this run take."""
    parts = {
        ".venv": ROOT / ".venv",
        ".tools": ROOT / ".tools",
        f"{folder}, removed at the end": folder,
    }
    return ", ".join(f"{_megabytes(place)} MB in {name}" for name, place in parts.items())


def _megabytes(place: Path) -> int:
    files = (Path(root, name) for root, _, names in os.walk(place) for name in names)
    return sum(file.lstat().st_blocks for file in files if file.exists()) * 512 // 1_000_000
