"""The programs of the demonstration; all of them end with it."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testkit.exporter import Exporter
from testkit.prometheus import Job
from testkit.ruler import Ruler

LOOPBACK = "127.0.0.1"
JOB = "bandwidth-voice"
_FLAGS = (
    "--web.enable-remote-write-receiver",
    # One block for everything: then no sample is too old to be written.
    "--storage.tsdb.min-block-duration=100d",
    "--storage.tsdb.max-block-duration=100d",
    "--query.max-samples=500000000",
)


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


def exporter(folder: Path, names: Mapping[str, str]) -> Exporter:
    """Start the exporter on its usual ports where they are free; its ledger is in the folder."""
    return Exporter(
        folder / "exporter",
        f"--web.listen-address={LOOPBACK}:{free_port(10060)}",
        f"--webhook.listen-address={LOOPBACK}:{free_port(10061)}",
        "--metrics.newborn-hold=2s",  # scrapes are a second apart here
        *(f"--labels.application={key}={name}" for key, name in names.items()),
    )


def prometheus(folder: Path, scraped: str, alertmanager: str | None) -> Ruler:
    """Start a Prometheus that scrapes an address every second and takes a past over its API."""
    return Ruler(
        folder / "prometheus",
        Job(JOB, [scraped]),
        alertmanager=alertmanager,
        flags=_FLAGS,
        port=free_port(9090),
    )


def first_scrape(ruler: Ruler) -> float:
    """Wait for it and return when it was, in unix seconds."""
    ruler.wait_for_scrapes(JOB, 1)
    return ruler.scrapes(JOB)[0][0]


def alerts(ruler: Ruler) -> list[dict[str, Any]]:
    """Return what fires or is about to."""
    found: list[dict[str, Any]] = ruler.get("alerts")["alerts"]
    return found
