"""The simulator as a command: options, exit status, and the log at the end of a run."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import bandwidth_voice_exporter
from bandwidth_voice_exporter.simulate.command import main

SOURCE = Path(bandwidth_voice_exporter.__file__).parents[1]
PROGRAM = """
import sys
from bandwidth_voice_exporter.simulate.command import main
sys.exit(main(sys.argv[1:]))
"""


class Receiver(ThreadingHTTPServer):
    """Answers every webhook with one status and keeps count of them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204
        self.received: list[str] = []
        self.authorized: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(body["callId"])
        self.server.authorized.add(self.headers["Authorization"])
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_number_of_events_is_delivered_and_logged_to_the_last(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --events the log has that many first deliveries, one line for every request."""
    log = tmp_path / "log"
    fast = ("--rate", "6000", "--speed", "1000", "--duplicate-share", "0.1")
    assert main([receiver.url, *fast, "--events", "300", "--log-file", str(log)]) == 0
    lines = read_log(log)
    assert sum(not line["duplicate"] for line in lines) == 300
    assert sorted(line["call_id"] for line in lines) == sorted(receiver.received)
    summary = capsys.readouterr().err
    assert re.fullmatch(
        rf"300 events in .* {len(lines)} requests, {len(lines)} answered 2xx, 0 failed, "
        r"seed \d+\n",
        summary,
    )


def test_the_same_seed_sends_the_same_calls(receiver: Receiver, tmp_path: Path) -> None:
    """Two runs with one seed have the same calls in their logs, a run without it others."""
    runs = []
    for number, seed in enumerate((["--seed", "5"], ["--seed", "5"], [])):
        log = tmp_path / str(number)
        fast = ("--rate", "6000", "--speed", "1000", "--connections", "1")
        assert main([receiver.url, *fast, *seed, "--events", "50", "--log-file", str(log)]) == 0
        runs.append([(line["call_id"], line["duration_seconds"]) for line in read_log(log)])
    assert runs[0] == runs[1]
    assert not set(runs[0]) & set(runs[2])


def test_a_run_ends_after_its_simulated_time(receiver: Receiver, tmp_path: Path) -> None:
    """With --for 10s at speed 100, ten seconds' worth of calls is sent in a tenth of a second."""
    log = tmp_path / "log"
    options = ("--flat", "--rate", "600", "--for", "10s", "--speed", "100", "--seed", "1")
    began = time.monotonic()
    assert main(["--target", receiver.url, *options, "--log-file", str(log)]) == 0
    assert time.monotonic() - began > 0.08
    assert 60 < len(read_log(log)) < 140


def test_a_refused_event_makes_the_run_fail(receiver: Receiver, tmp_path: Path) -> None:
    """The exit status is 1 when a delivery was not answered 2xx, and the log says so."""
    receiver.status = 503
    log = tmp_path / "log"
    fast = ("--rate", "6000", "--speed", "1000", "--duplicate-share", "0")
    assert main([receiver.url, *fast, "--events", "5", "--log-file", str(log)]) == 1
    assert [line["status"] for line in read_log(log)] == [503] * 5


@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_log_is_complete_after_a_signal(
    receiver: Receiver, tmp_path: Path, number: signal.Signals
) -> None:
    """A signal ends the run with status 0, and every request that arrived has its line."""
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        receiver.url,
        "--rate",
        "60000",
        "--log-file",
        str(log),
    ]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while len(receiver.received) < 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        try:
            _, summary = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    lines = read_log(log)
    assert len(lines) >= 100
    assert sorted(line["call_id"] for line in lines) == sorted(receiver.received)
    assert f"{len(lines)} requests" in summary


def test_the_log_has_no_number_and_no_tag(receiver: Receiver, tmp_path: Path) -> None:
    """No phone number, SIP address or name of a tag is in the log."""
    log = tmp_path / "log"
    fast = ("--rate", "6000", "--speed", "1000", "--transfer-share", "0.5")
    assert main([receiver.url, *fast, "--events", "300", "--log-file", str(log)]) == 0
    assert not re.search(r"55501\d\d|sip:|account \d|Restricted|@", log.read_text())


def test_a_target_elsewhere_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An address that is not loopback is a usage error that names the way out."""
    with pytest.raises(SystemExit) as stop:
        main(["http://192.0.2.1:10061/webhooks/voice", "--events", "1"])
    assert stop.value.code == 2
    assert "--allow-remote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--rate", "0"], "--rate"),
        (["--rate", "inf"], "--rate"),
        (["--speed", "fast"], "--speed"),
        (["--for", "10"], "--for"),
        (["--events", "0"], "--events"),
        (["--connections", "-1"], "--connections"),
        (["--duplicate-share", "2"], "--duplicate-share"),
        (["--get-share", "nan"], "--get-share"),
        (["--application", "main"], "--application"),
        (["--incident", "cause=busy,after=1s,for=1s,share=2"], "share"),
        (["--incident", "cause=busy,after=1s,for=1s,share=1,application=x"], "application"),
        (["--user", "nobody"], "WEBHOOK_PASSWORD"),
        (["--user", "u:p", "--credentials-file", "x"], "--credentials-file"),
        (["--credentials-file", "/nowhere"], "/nowhere: No such file"),
        (["--credentials-file", "/dev/null"], "no line of the form USER:PASSWORD"),
        (["http://u:p@127.0.0.1/"], "--credentials-file"),
        (["--challenge"], "--challenge needs --user"),
        (["ftp://127.0.0.1/"], "ftp:"),
    ],
)
def test_a_usage_error_names_what_is_wrong(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and the last line of the message names the option or key."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("way", ["file", "environment", "argument"])
def test_a_password_need_not_be_an_argument(
    way: str, receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file or the environment has it; as an argument it works too, with a warning."""
    file = tmp_path / "credentials"
    file.write_text("\N{BOM}# of the exporter\n\nu:p:q\nother:pair\n")
    options = {
        "file": ["--credentials-file", str(file)],
        "environment": ["--user", "u"],
        "argument": ["--user", "u:p:q"],
    }
    fast = ("--rate", "6000", "--speed", "1000", "--events", "5")
    assert main([receiver.url, *fast, *options[way]], {"WEBHOOK_PASSWORD": "p:q"}) == 0
    assert receiver.authorized == {"Basic dTpwOnE="}
    said = capsys.readouterr().err
    assert ("list of processes" in said) == (way == "argument")
    assert "p:q" not in said


@pytest.mark.parametrize("flag", ["--log-file", "--calls-file"])
def test_a_file_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """Status 2 before anything is sent."""
    assert main(["--events", "1", flag, str(tmp_path / "none" / "file")]) == 2
    assert flag in capsys.readouterr().err


def test_applications_are_weighted(receiver: Receiver, tmp_path: Path) -> None:
    """Only the given applications have calls, in proportion to their weights."""
    log = tmp_path / "log"
    light, heavy = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "ab")
    options = ("--application", light, "--application", f"{heavy}=9", "--seed", "2")
    fast = ("--rate", "6000", "--speed", "1000", "--events", "400", "--transfer-share", "0")
    assert main([receiver.url, *options, *fast, "--log-file", str(log)]) == 0
    found = [line["application"] for line in read_log(log)]
    assert set(found) == {light, heavy}
    assert 0.85 < found.count(heavy) / len(found) < 0.95


def test_the_help_fits_into_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However wide the terminal, no line of the help is longer than 80."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_the_calls_file_has_each_call_once(receiver: Receiver, tmp_path: Path) -> None:
    """Every call is in the calls file once, as its webhook says, whether or not that is taken."""
    file = tmp_path / "calls.jsonl"
    receiver.status = 500
    fast = ("--rate", "6000", "--speed", "1000", "--duplicate-share", "0.5")
    assert main([receiver.url, *fast, "--events", "40", "--calls-file", str(file)]) == 1
    made = read_log(file)
    assert len(made) == 40
    assert {call["callId"] for call in made} == set(receiver.received)
    assert all(call["startTime"] <= call["endTime"] for call in made)
