"""The status page shows what fires, and stands whatever the program that it asks does."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ops import firing
from bandwidth_voice_exporter.ops.inquiry import inquiring
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.settings.resolve import SettingsError, resolve
from testkit import waiting
from testkit.alertmanager import Alertmanager
from testkit.exporter import Exporter, StartExporter
from testkit.prometheus import Job
from testkit.ruler import Ruler

NOON = 1_772_366_400_000_000
LABELS = {
    "alertname": "BandwidthVoiceApplicationFailures",
    "condition": "ApplicationFailureSpike",
    "severity": "critical",
    "direction": "inbound",
}
RULES = """\
groups:
  - name: always
    interval: 1s
    rules:
      - alert: BandwidthVoiceApplicationFailures
        expr: vector(1)
        labels: {severity: critical, condition: ApplicationFailureSpike, direction: inbound}
        annotations: {description: "Half of them <b>fail</b>."}
      - alert: SomebodyElses
        expr: vector(1)
"""


def told(**labels: str) -> dict[str, object]:
    """An alert as Alertmanager's API has it."""
    return {
        "labels": LABELS | labels,
        "annotations": {"summary": "Many fail.", "description": "Half of them <b>fail</b>."},
        "startsAt": "2026-03-01T11:58:00.123456789Z",
        "status": {"state": "active"},
    }


def page(exporter: Exporter) -> str:
    """The status page's part about alerts, which must come at once."""
    begin = time.monotonic()
    answer = exporter.ops.request("GET", "/")
    assert answer.status == 200
    assert time.monotonic() - begin < 3
    return answer.text.partition('<section id="alerts"')[2].partition("</section>")[0]


def shown(exporter: Exporter, words: str) -> str:
    """The same once it has these words."""
    return waiting.until(lambda: text if words in (text := page(exporter)) else "", words)


class Answering(BaseHTTPRequestHandler):
    """Answers every path with what the server was given: a status, a body, and whether to stall."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A program on loopback that answers as it was told."""

    daemon_threads = True
    status = 200
    body = b"[]"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Server]:
    """Run such a program meanwhile."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def first(url: str) -> firing.Firing:
    """Return what the first answer makes known."""
    state = State()
    async with inquiring(url, state):
        for _ in range(1000):
            if state.firing is not None:
                return state.firing
            await asyncio.sleep(0.01)
    raise AssertionError("nobody was asked")


def test_alerts_are_the_exporters_own_worst_first() -> None:
    """Others' alerts and pending ones are left out, and long texts are cut."""
    many = [told(severity="info", cause=f"x{number}") for number in range(30)]
    found = firing.read(
        json.dumps([*many, told(), told(alertname="Other")]).encode(), firing.ALERTMANAGER, NOON
    )
    assert found.count == 31
    assert len(found.alerts) == 20
    assert found.alerts[0] == firing.FiringAlert(
        name="BandwidthVoiceApplicationFailures",
        severity="critical",
        about="inbound",
        text="Half of them <b>fail</b>.",
        since=NOON - 119_876_543,
        runbook="BandwidthVoiceApplicationFailureSpike",
    )
    pending = {"data": {"alerts": [{"labels": LABELS, "state": "pending"}]}}
    assert firing.read(json.dumps(pending).encode(), firing.PROMETHEUS, NOON).count == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b'[{"labels":{"a":1}}]', b"[" * 100_000, b'{"data":', b"\xff", b"null"],
    ids=repr,
)
def test_an_answer_of_another_kind_is_refused(body: bytes) -> None:
    """An answer that is no list of alerts raises the error for which the page has a sentence."""
    with pytest.raises(firing.NoAlertsError):
        firing.read(body, firing.ALERTMANAGER, NOON)


@pytest.mark.prometheus
def test_prometheus_tells_what_fires(exporter: StartExporter, tmp_path: Path) -> None:
    """Of a real Prometheus the page shows the exporter's alert, escaped, with its runbook."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    with Ruler(tmp_path / "prometheus", Job("none", []), alertmanager=None) as prometheus:
        prometheus.follow(rules)
        waiting.until(lambda: prometheus.get("alerts")["alerts"], "an alert")
        running = exporter(f"--web.alerts-url=http://{prometheus.address}/")
        text = shown(running, "Half")
    assert "Half of them &lt;b&gt;fail&lt;/b&gt;." in text
    assert 'href="/runbooks/BandwidthVoiceApplicationFailureSpike"' in text
    assert "SomebodyElses" not in text


@pytest.mark.needs("prometheus-alertmanager")
def test_alertmanager_tells_what_fires(exporter: StartExporter, tmp_path: Path) -> None:
    """Of a real Alertmanager the page shows what is neither silenced nor muted by another."""
    worst = {key: str(value) for key, value in LABELS.items()} | {"fault_domain": "application"}
    with Alertmanager(tmp_path) as manager:
        manager.post([worst, worst | {"severity": "warning", "cause": "muted-one"}])
        waiting.until(lambda: len(manager.alerts()) == 2, "both")
        running = exporter(f"--web.alerts-url=http://{manager.address}")
        text = shown(running, "critical")
    assert "muted-one" not in text


def test_the_page_stands_whatever_is_asked(exporter: StartExporter) -> None:
    """The address may have a path; once nobody answers there, a sentence says so."""
    with serving() as server:
        running = exporter(f"--web.alerts-url={server.url}/prefix")
        assert "None" in shown(running, "None")
        assert server.asked[0].startswith("/prefix/api/v2/alerts?")
    assert "cannot be reached" in shown(running, "cannot be reached")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "answered 401"),
        (302, b"", "answered 302"),
        (404, b"", "answered 404"),
        (200, b"x" * 3_000_000, "larger than 2 MiB"),
        (200, b"<html>", "tells of no alerts"),
    ],
)
def test_an_answer_without_alerts_is_a_sentence(status: int, body: bytes, words: str) -> None:
    """The page has a sentence for each answer without alerts, and no redirect is followed."""
    with serving() as server:
        server.status, server.body = status, body
        assert words in asyncio.run(first(server.url)).problem
        assert all(path.startswith("/api/v") for path in server.asked)


def test_a_program_that_stalls_keeps_nobody_waiting(exporter: StartExporter) -> None:
    """Asked of a program that takes the connection and says nothing, the page still comes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running = exporter(f"--web.alerts-url=http://127.0.0.1:{silent.getsockname()[1]}")
        assert "Not asked yet" in page(running)
        assert "within 5 s" in shown(running, "within 5 s")
        assert running.stop() == 0


def test_without_the_setting_nobody_is_asked(exporter: StartExporter) -> None:
    """The page has no part about alerts then."""
    assert page(exporter()) == ""


@pytest.mark.parametrize(
    "url", ["http://u:secret@h", "h:9090", "ftp://h", "http://h/?q", "http://"]
)
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    """The message names the flag, and quotes no password."""
    with pytest.raises(SettingsError, match=r"--web\.alerts-url") as refused:
        resolve({"web.alerts-url": url}, {}, {})
    assert "secret" not in str(refused.value)
