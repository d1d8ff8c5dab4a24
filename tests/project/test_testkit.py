"""The testkit itself: what the other tests rely on without looking."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testkit import exporter, waiting
from testkit import prometheus as prom
from testkit.client import Answer, Client
from testkit.process import Process

ROOT = Path(__file__).parents[2]
SLEEPER = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(600)"]
OPENMETRICS = b"""\
# TYPE calls counter
calls_total 1 # {call_id="c-1"} 1
# EOF
"""


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    """Whether the process is dead within the usual time."""
    return waiting.until(lambda: not alive(pid), f"end of process {pid}")


@pytest.mark.program
def test_process_is_killed_when_its_test_fails(tmp_path: Path) -> None:
    """A program that runs when the test raises is dead when the context is left."""
    process = Process(SLEEPER, tmp_path)

    def failing_test() -> None:
        with process:
            process.wait_for_log("^asleep$")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_test()
    assert process.exit_code == -signal.SIGKILL
    assert gone(process.pid)


@pytest.mark.program
def test_process_takes_its_children_along(tmp_path: Path) -> None:
    """A child that the program started is dead too once the context is left."""
    with Process(["sh", "-c", "sleep 600 & echo child $!; wait"], tmp_path) as process:
        child = int(process.wait_for_log(r"^child (\d+)$")[1])
        assert alive(child)
    assert gone(child)


@pytest.mark.program
def test_process_dies_with_the_test_run(tmp_path: Path) -> None:
    """A program whose test run is killed without warning is killed as well."""
    script = (
        "import time; from pathlib import Path; from testkit.process import Process;"
        f"process = Process({SLEEPER!r}, Path('inner')); process.wait_for_log('^asleep$');"
        "print('started', process.pid, flush=True); time.sleep(600)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Process([sys.executable, "-c", script], tmp_path, env) as run:
        pid = int(run.wait_for_log(r"^started (\d+)$")[1])
        assert alive(pid)
        run.send_signal(signal.SIGKILL)
        assert gone(pid)


@pytest.mark.program
def test_process_stops_on_sigterm(tmp_path: Path) -> None:
    """stop() sends SIGTERM, waits and returns the program's own exit code."""
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    with Process(["sh", "-c", script], tmp_path) as process:
        process.wait_for_log("^ready$")
        assert process.stop() == 7


@pytest.mark.program
def test_process_shows_its_last_words(tmp_path: Path) -> None:
    """Waiting for a line that never comes ends with the program and shows what it wrote instead."""
    with (
        Process(["sh", "-c", "echo no such luck >&2; exit 3"], tmp_path) as process,
        pytest.raises(AssertionError, match=r"(?s)exited before.*exited with 3.*no such luck"),
    ):
        process.wait_for_log("^ready$")


def test_wait_has_a_deadline() -> None:
    """A condition that never comes true is an AssertionError that names it."""
    with pytest.raises(AssertionError, match=r"not within 0\.1 s: the impossible"):
        waiting.until(lambda: None, "the impossible", timeout=0.1)


@pytest.mark.program
def test_process_started_again_keeps_its_past(tmp_path: Path) -> None:
    """A second program in the same directory writes to files of its own."""
    for word in ("first", "second"):
        with Process(["echo", word], tmp_path) as process:
            assert process.wait() == 0
            assert process.output() == f"{word}\n"
    assert sorted(path.read_text() for path in tmp_path.glob("*.stdout")) == ["first\n", "second\n"]


def test_client_connects_again_after_a_hang_up() -> None:
    """A request on a connection that the server has closed is sent once, on a new one."""
    served: list[bytes] = []
    closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                served.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        client = Client(f"127.0.0.1:{listener.getsockname()[1]}")
        assert client.request("GET", "/1").text == "ok"
        assert closed.wait(20)
        assert client.request("GET", "/2").text == "ok"
        client.close()
        server.join()
    assert [request.split()[1] for request in served] == [b"/1", b"/2"]


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_parse_reads_both_formats(kind: str) -> None:
    """A scrape is read into one value for each name and label set, as its content type says."""
    headers = Message()
    headers["Content-Type"] = kind
    body = b'# TYPE a counter\na_total{b="c"} 2\n# EOF\n'
    assert exporter.parse(Answer(200, headers, body)) == {("a_total", frozenset({("b", "c")})): 2}


@pytest.fixture
def target() -> Iterator[str]:
    """An address that answers every GET with one counter and its exemplar."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0")
            self.send_header("Content-Length", str(len(OPENMETRICS)))
            self.end_headers()
            self.wfile.write(OPENMETRICS)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.prometheus
def test_prometheus_returns_raw_samples_of_itself(
    prometheus: prom.StartPrometheus,
) -> None:
    """Every scrape of a Prometheus that scrapes itself is a raw sample with its own time."""
    server = prometheus()
    server.configure(prom.Job("self", [server.address], interval="200ms"))
    server.wait_for_scrapes("self", 3)
    [(labels, samples)] = server.raw_samples('up{job="self"}').items()
    times = [at for at, _ in samples]
    assert ("instance", server.address) in labels
    assert len(times) >= 3
    assert times == sorted(set(times))
    assert {value for _, value in samples} == {1}


@pytest.mark.prometheus
def test_prometheus_waits_for_a_scrape_after_a_time(
    prometheus: prom.StartPrometheus, target: str
) -> None:
    """After the wait for a scrape newer than a time there is a sample newer than that time."""
    server = prometheus(prom.Job("target", [target], interval="200ms"))
    asked = time.time()
    server.wait_until_scraped_after(asked)
    [samples] = server.raw_samples("calls_total").values()
    assert samples[-1][0] > asked
    assert server.query("calls_total", samples[-1][0]) == {
        frozenset({("__name__", "calls_total"), ("job", "target"), ("instance", target)}): 1
    }


@pytest.mark.prometheus
def test_prometheus_keeps_exemplars(prometheus: prom.StartPrometheus, target: str) -> None:
    """The exemplar of a scraped counter comes back from query_exemplars."""
    server = prometheus(prom.Job("target", [target], interval="200ms"))
    server.wait_for_scrapes("target", 1)
    [found] = server.query_exemplars("calls_total", time.time() - 60, time.time() + 1)
    assert [exemplar["labels"] for exemplar in found["exemplars"]] == [{"call_id": "c-1"}]


@pytest.mark.prometheus
def test_prometheus_stops_cleanly(prometheus: prom.StartPrometheus) -> None:
    """stop() ends a Prometheus with exit code 0."""
    assert prometheus().stop() == 0


@pytest.mark.prometheus
def test_promtool_reports_a_problem() -> None:
    """`promtool check metrics` fails on a counter without help text and says why."""
    result = prom.promtool("check", "metrics", stdin="# TYPE a_total counter\na_total 1\n")
    assert result.returncode != 0
    assert "help" in result.stdout + result.stderr


@pytest.mark.program
@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
def test_missing_prometheus_is_never_a_pass(tmp_path: Path, ci: str, outcome: str) -> None:
    """Where Prometheus is missing its tests do not run and say so; with CI=true they fail."""
    shutil.copytree(ROOT / "testkit", tmp_path / "testkit")
    copy = tmp_path / "tests"
    copy.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", copy)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (copy / "test_it.py").write_text(
        "import pytest\n@pytest.mark.prometheus\ndef test_it(prometheus): pass\n"
    )
    env = {"PATH": "/nonexistent", "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    run = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert outcome in run.stdout.splitlines()[-1], run.stdout + run.stderr
    assert "did not run: prometheus and promtool not found" in run.stdout
