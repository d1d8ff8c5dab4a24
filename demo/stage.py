"""The programs of the demonstration; all of them end with it."""

import json
import socket
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from harness import programs
from harness.alertmanager import EXAMPLE
from harness.exporter import WEBHOOK_PATH, environment
from harness.process import Process

LOOPBACK = "127.0.0.1"
JOB = "bandwidth-voice"
_MODULE = (sys.executable, "-m", "bandwidth_voice_exporter")


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


def exporter(folder: Path, names: Mapping[str, str], *, ops: int, webhook: int) -> Process:
    """Start the exporter with its ledger in the folder."""
    command = [
        *_MODULE,
        f"--web.listen-address={LOOPBACK}:{ops}",
        f"--webhook.listen-address={LOOPBACK}:{webhook}",
        f"--storage.path={folder / 'ledger'}",
        "--metrics.newborn-hold=2s",  # scrapes are a second apart here
        *(f"--labels.application={key}={name}" for key, name in names.items()),
    ]
    process = Process(command, folder / "exporter", environment(folder))
    process.wait_until(lambda: answers(ops, "/-/ready"), "the exporter is ready")
    return process


def simulator(folder: Path, webhook: int, rate: float, *args: str) -> Process:
    """Start to send calls, as many at every hour."""
    target = f"http://{LOOPBACK}:{webhook}{WEBHOOK_PATH}"
    command = [*_MODULE, "simulate", target, f"--rate={rate}", "--flat", *args]
    return Process(command, folder / "simulator", environment(folder))


class Prometheus:
    """A Prometheus that scrapes every second and takes history; later with rules, too."""

    def __init__(self, folder: Path, port: int, ops: int, alertmanager: str | None) -> None:
        self.port = port
        self._file = folder / "prometheus.json"
        self._config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [
                {"job_name": JOB, "static_configs": [{"targets": [f"{LOOPBACK}:{ops}"]}]}
            ],
        }
        if alertmanager:
            managers = [{"static_configs": [{"targets": [alertmanager]}]}]
            self._config["alerting"] = {"alertmanagers": managers}
        self._write()
        self.process = Process(
            [
                programs.path("prometheus"),
                f"--config.file={self._file}",
                f"--storage.tsdb.path={folder / 'storage'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                "--web.enable-lifecycle",
                "--web.enable-remote-write-receiver",
                "--enable-feature=exemplar-storage",
                # One block for everything: then no sample is too old to be written.
                "--storage.tsdb.min-block-duration=100d",
                "--storage.tsdb.max-block-duration=100d",
                "--query.max-samples=500000000",
            ],
            folder / "prometheus",
        )
        self.process.wait_until(lambda: answers(port, "/-/ready"), "Prometheus is ready")

    def first_scrape(self) -> float:
        """Wait for it and return when it was, in unix seconds."""

        def look() -> float | None:
            query = quote("timestamp(up == 1)")
            result = self._get(f"query?query={query}")["result"]
            return float(result[0]["value"][1]) if result else None

        return self.process.wait_until(look, "a scrape of the exporter")

    def load(self, rules: Path) -> None:
        """Evaluate a rule file from now on."""
        self._config["rule_files"] = [str(rules)]
        self._write()
        connection = HTTPConnection(LOOPBACK, self.port)
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()  # noqa: PLR2004 - HTTP's own
        connection.close()

    def alerts(self) -> list[dict[str, Any]]:
        """Return what fires or is about to."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def _get(self, path: str) -> dict[str, Any]:
        connection = HTTPConnection(LOOPBACK, self.port)
        connection.request("GET", f"/api/v1/{path}")
        data: dict[str, Any] = json.loads(connection.getresponse().read())["data"]
        connection.close()
        return data

    def _write(self) -> None:
        self._file.write_text(json.dumps(self._config))  # JSON is YAML, too


def routing(folder: Path, receiver: str) -> Path:
    """Write the example of routing, all of it to one receiver's address and without its waits."""
    config = yaml.safe_load(EXAMPLE.read_text())
    for route in _routes(config["route"]):
        if "group_wait" in route:
            route["group_wait"] = "1s"
        if "group_interval" in route:
            route["group_interval"] = "5s"
    for entry in config["receivers"]:
        entry["webhook_configs"] = [{"url": f"{receiver}/{entry['name']}"}]
    file = folder / "alertmanager.yml"
    file.write_text(json.dumps(config))
    return file


def _routes(route: dict[str, Any]) -> list[dict[str, Any]]:
    return [route, *(found for child in route.get("routes", ()) for found in _routes(child))]


def answers(port: int, path: str) -> bool:
    """Whether a program on this machine says that it is well."""
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's own
    except OSError:
        return False
    finally:
        connection.close()
