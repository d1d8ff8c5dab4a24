"""The demonstration: what it prints is there, and nothing is left of it."""

import re
import signal
import sys
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo import messages, stage
from demo.__main__ import main
from demo.show import Show
from testkit import waiting
from testkit.exporter import MODULE, Exporter, StartExporter, environment
from testkit.notifications import Notification, Told
from testkit.process import Process

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def status(url: str) -> int:
    """Return the status that an address answers with."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status
    finally:
        connection.close()


def running(folder: str) -> list[str]:
    """The commands of processes that have the folder in their arguments."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if folder in command:
            found.append(command)
    return found


@pytest.mark.needs("prometheus", "prometheus-alertmanager")
def test_its_addresses_answer_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Every address printed before the incident answers 200; SIGINT ends all, with its folder."""
    seen = environment(tmp_path, {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)})
    with Process([MODULE[0], "-m", "demo"], tmp_path, seen) as shown:
        shown.wait_for_log("made up", timeout=90)
        text = shown.output()
        urls = re.findall(r"http://\S+", text)
        assert len(urls) >= 6
        # The links of the incident's message.
        urls += [
            f"{urls[0]}failures?direction=inbound&fault_domain=application",
            f"{urls[0]}runbooks/BandwidthVoiceApplicationFailureSpike",
        ]
        assert {url: status(url) for url in urls} == dict.fromkeys(urls, 200)
        assert "the first call" in text
        assert re.search(r"disk +\d+ MB in \.venv", text)
        [folder] = set(re.findall(r"/\S*/demo-\w+", text))
        assert running(folder)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(30) == 0
        assert "Traceback" not in shown.output()
    assert not Path(folder).exists()
    waiting.until(lambda: not running(folder), "nothing of it runs")


@pytest.mark.program
def test_without_prometheus_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it cannot be fetched, calls are shown all the same, and why there are no alerts."""
    monkeypatch.setattr(stage, "is_fetched", lambda: False)
    monkeypatch.setattr(stage, "fetch", lambda: "prometheus cannot be had: no apt-get")
    with ExitStack() as stack:
        show = Show(stack, tmp_path, stage.Clock(time.time()))
        assert show.run(is_check=True) == 1
    text = capsys.readouterr().out
    assert "the first call" in text
    assert "prometheus cannot be had: no apt-get" in text
    assert "no alerts here" in text


@pytest.mark.program
def test_a_program_that_does_not_start_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program's message is shown without a traceback, and the exit status is 1."""

    def broken(*_: object) -> Exporter:
        raise AssertionError("alertmanager exited: no templates")

    monkeypatch.setattr(stage, "exporter", broken)
    monkeypatch.setattr(sys, "argv", ["demo"])
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        assert main() == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "alertmanager exited: no templates" in capsys.readouterr().out


def told(number: int, status: str = "firing") -> Told:
    """An alert of a message."""
    return Told(
        receiver="application-page",
        path="/",
        status=status,
        labels={
            "alertname": "BandwidthVoiceApplicationFailures",
            "severity": "critical",
            "cause": f"x{number}",
        },
        annotations={
            "summary": "Many fail.",
            "description": f"{number} of them.",
            "runbook_url": "http://127.0.0.1/runbooks/X",
        },
        at=0.0,
        ended=0.0,
    )


def message(receiver: str, status: str, count: int) -> list[str]:
    """The lines that a person reads of a message about some alerts."""
    alerts = [told(number, status) for number in range(count)]
    return [*messages.lines(Notification(receiver, status, {}, alerts, 0.0))]


def test_a_page_is_told_once_whatever_is_in_it() -> None:
    """A page has its worst alert's words and links, a ticket and an end have one line."""
    page = message("application-page", "firing", 12)
    assert page[1:] == ["  Many fail.", "  0 of them.", "  runbook: http://127.0.0.1/runbooks/X"]
    assert len(message("application-ticket", "firing", 12)) == 1
    [over] = message("application-page", "resolved", 2)
    assert over.startswith("application-page: RESOLVED")


def test_an_address_that_answers_is_chosen(exporter: StartExporter) -> None:
    """Of the pages that a program may have, one that it has is printed."""
    address = exporter().ops_address
    assert stage.page(address, ("/alerts", "/failures")).endswith("/failures")
    with pytest.raises(AssertionError, match="none of /a"):
        stage.page(address, ("/a",))
