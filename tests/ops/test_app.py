"""The answers of the ops listener, and the stop of the whole program, over real HTTP."""

import contextlib
import gzip
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bandwidth_voice_exporter.metrics import catalog
from testkit import waiting
from testkit.client import Answer, Client
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter, parse

pytestmark = pytest.mark.program

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# The Accept headers that Prometheus 2.42 and 3 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PATHS = ("/metrics", "/-/healthy", "/-/ready", "/")
EVENT = json.dumps({"eventType": "disconnect", "cause": "hangup", "direction": "inbound"}).encode()
STOPS_WITHIN = 10.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter for the tests that only look, with a call to look at."""
    with Exporter(tmp_path_factory.mktemp("ops")) as running:
        call_id = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d"
        assert running.send(json.loads(EVENT) | {"callId": call_id}).status == 204
        yield running
        assert [line for line in running.log_lines() if line["level"] == "error"] == []


def get(exporter: Exporter, path: str = "/metrics", **headers: str) -> Answer:
    """GET with headers, in whose names _ is for -."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return exporter.ops.request("GET", path, headers=sent)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT_TYPE),
        ("", TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT_TYPE),
        ("application/json", TEXT_TYPE),
        ("text/plain;version=0.0.4", TEXT_TYPE),
        ("application/openmetrics-text", OPENMETRICS_TYPE),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS_TYPE),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS_TYPE),
        ("application/openmetrics-text;version=0.0.1", TEXT_TYPE),
        ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", TEXT_TYPE),
        ("application/openmetrics-text;q=0.4,text/plain;version=0.0.4;q=0.5", TEXT_TYPE),
        ("application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.4", OPENMETRICS_TYPE),
        ("text/plain;version=0.0.4;q=0.4,application/openmetrics-text;q=0.5", OPENMETRICS_TYPE),
        ("application/openmetrics-text;q=0,*/*", TEXT_TYPE),
        ("application/openmetrics-text;q=high,*/*;q=0.1", TEXT_TYPE),
        (PROMETHEUS_2, OPENMETRICS_TYPE),
        (PROMETHEUS_3, OPENMETRICS_TYPE),
    ],
)
def test_the_format_is_the_preferred_one(
    shared: Exporter, accept: str | None, content_type: str
) -> None:
    """Accept with its q-values chooses between OpenMetrics 1.0.0 and the text format."""
    answer = get(shared) if accept is None else get(shared, accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.text.endswith("# EOF\n") == (content_type == OPENMETRICS_TYPE)
    assert {"accept", "accept-encoding"} <= words(answer.headers["Vary"])


@pytest.mark.parametrize(
    "accept", ["text/plain", "application/openmetrics-text"], ids=["text", "openmetrics"]
)
def test_every_metric_is_there_in_both_formats(shared: Exporter, accept: str) -> None:
    """The answer parses as its format and has a family of the right kind for every metric."""
    answer = get(shared, accept=accept)
    samples = parse(answer)
    is_openmetrics = accept != "text/plain"
    for metric in catalog.METRICS:
        counts = is_openmetrics and metric.kind == "counter"
        family = metric.name.removesuffix("_total") if counts else metric.name
        assert f"# TYPE {family} {metric.kind}\n" in answer.text
        assert f"# HELP {family} " in answer.text
    counted = [value for (name, _), value in samples.items() if name == catalog.CALLS.name]
    assert sum(counted) == 1
    assert not [name for name, _ in samples if name.endswith("_created")]


def test_exemplars_are_in_openmetrics_alone(shared: Exporter) -> None:
    """The text format has no exemplar, which it would be invalid with."""
    assert '# {call_id="c-95ac8d6e' in get(shared, accept="application/openmetrics-text").text
    assert "call_id" not in get(shared, accept="text/plain").text


@pytest.mark.parametrize(
    ("coding", "compressed"),
    [
        (None, False),
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("*", True),
        ("deflate, gzip;q=0.5", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("br", False),
    ],
)
def test_gzip_is_used_where_it_is_accepted(
    shared: Exporter, coding: str | None, *, compressed: bool
) -> None:
    """Accept-Encoding decides whether the body is compressed."""
    # http.client says identity by itself unless it is told something.
    answer = get(shared, accept_encoding="identity" if coding is None else coding)
    assert answer.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    body = gzip.decompress(answer.body) if compressed else answer.body
    assert b"# TYPE bandwidth_voice_calls_total counter\n" in body


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
@pytest.mark.parametrize("path", PATHS)
def test_head_says_what_get_would(shared: Exporter, path: str, accept: str, coding: str) -> None:
    """HEAD has the status and the headers of GET and no body."""
    headers = {"accept": accept, "accept-encoding": coding}
    head = shared.ops.request("HEAD", path, headers=headers)
    answer = shared.ops.request("GET", path, headers=headers)
    assert (head.status, head.body) == (200, b"")
    kept = ("Content-Type", "Content-Encoding", "Vary")
    assert [head.headers[name] for name in kept] == [answer.headers[name] for name in kept]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize(("path", "body"), [("/-/healthy", "healthy\n"), ("/-/ready", "ready\n")])
def test_health_is_200_and_a_word(shared: Exporter, path: str, body: str) -> None:
    """Health and readiness of a running exporter are 200 and say so in text."""
    answer = get(shared, path)
    assert (answer.status, answer.text) == (200, body)
    assert answer.headers.get_content_type() == "text/plain"


def test_the_landing_page_leads_on(shared: Exporter) -> None:
    """The page at / is HTML with links to metrics and health that work."""
    answer = get(shared, "/")
    assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")
    for path in ("/metrics", "/-/healthy", "/-/ready"):
        assert f'href="{path}"' in answer.text
    assert WEBHOOK_PATH in answer.text


@pytest.mark.parametrize(
    "path", ["/nothing", "/metrics/", "//metrics", "/-/", "/-/reload", WEBHOOK_PATH]
)
def test_another_path_is_not_found(shared: Exporter, path: str) -> None:
    """Any other path is 404, with a slash more too, and no redirect."""
    answer = get(shared, path)
    assert answer.status == 404
    assert "Location" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_not_allowed(shared: Exporter, path: str, method: str) -> None:
    """Any method but GET and HEAD gets 405 and is told those two."""
    answer = shared.ops.request(method, path)
    assert (answer.status, words(answer.headers["Allow"])) == (405, {"get", "head"})


def test_the_ops_listener_takes_no_events(shared: Exporter) -> None:
    """An event that is posted to the ops listener is refused and not counted."""
    before = shared.metrics()
    assert shared.ops.request("POST", WEBHOOK_PATH, EVENT).status == 404
    after = shared.metrics()
    assert {key: value for key, value in after.items() if "calls_total" in key[0]} == {
        key: value for key, value in before.items() if "calls_total" in key[0]
    }


def test_another_telemetry_path_can_be_set(exporter: StartExporter) -> None:
    """--web.telemetry-path moves the metrics, and the landing page knows."""
    running = exporter("--web.telemetry-path=/prom")
    assert get(running, "/prom").status == 200
    assert get(running, "/metrics").status == 404
    assert 'href="/prom"' in get(running, "/").text


def test_the_webhook_listener_is_open_once_it_is_announced(exporter: StartExporter) -> None:
    """When the log says that the webhook listener is ready, it and the ops listener are."""
    running = exporter()
    assert running.webhook.request("GET", f"{WEBHOOK_PATH}/ready").status == 200
    assert get(running, "/-/ready").status == 200
    ready = [line["msg"] for line in running.log_lines() if line["msg"].endswith("ready")]
    assert ready == ["ops listener ready", "webhook listener ready"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_it_with_0(exporter: StartExporter, number: signal.Signals) -> None:
    """SIGTERM and SIGINT alike end an idle exporter with exit code 0 within 10 s."""
    running = exporter()
    assert running.send(json.loads(EVENT)).status == 204
    assert stopped(running, number) == 0
    assert [line["msg"] for line in running.log_lines()][-2:] == ["stopping", "stopped"]


def test_a_second_signal_changes_nothing(exporter: StartExporter) -> None:
    """An impatient second signal in mid-stop leaves the exit code 0."""
    running = exporter()
    with slow_request(running) as request:
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_line(lambda line: line["msg"] == "stopping", "the stop")
        running.process.send_signal(signal.SIGINT)
        assert finish(request) == 204
        assert running.process.wait(STOPS_WITHIN) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_requests_in_flight_are_answered(exporter: StartExporter, number: signal.Signals) -> None:
    """A body that is still being sent when the signal comes is read to its end and answered 204."""
    running = exporter()
    with slow_request(running) as first, slow_request(running) as second:
        running.process.send_signal(number)
        waiting.until(lambda: refuses(running.webhook_address), "no more connections")
        assert finish(first) == 204
        assert finish(second) == 204
        assert running.process.wait(STOPS_WITHIN) == 0


def test_the_webhook_listener_closes_first(exporter: StartExporter) -> None:
    """While requests are in flight the ops listener answers, not ready, and shows their count."""
    running = exporter()
    with slow_request(running) as first, slow_request(running) as second:
        running.process.send_signal(signal.SIGTERM)
        waiting.until(lambda: refuses(running.webhook_address), "no more connections")
        assert get(running, "/-/ready").status == 503
        assert get(running, "/-/healthy").status == 200
        assert counted(running) == 0
        assert finish(first) == 204
        assert counted(running) == 1
        assert finish(second) == 204
    assert running.process.wait(STOPS_WITHIN) == 0


def test_who_never_finishes_does_not_keep_it(exporter: StartExporter) -> None:
    """A client that stops in mid-body holds up the stop for less than 10 s and leaves exit 0."""
    running = exporter()
    with slow_request(running):
        assert stopped(running, signal.SIGTERM) == 0


def test_idle_connections_do_not_keep_it(exporter: StartExporter) -> None:
    """Kept connections without a request on both listeners are closed at once."""
    running = exporter()
    with ExitStack() as stack:
        for _ in range(20):
            for address, path in (
                (running.webhook_address, f"{WEBHOOK_PATH}/ready"),
                (running.ops_address, "/-/ready"),
            ):
                client = Client(address)
                stack.callback(client.close)
                assert client.request("GET", path).status == 200
            unused = socket.create_connection(address_of(running.webhook_address), timeout=20)
            stack.enter_context(unused)
        began = time.monotonic()
        assert stopped(running, signal.SIGTERM) == 0
        assert time.monotonic() - began < 4  # a request in flight is given 5 s


def test_it_starts_again_on_the_same_addresses(exporter: StartExporter) -> None:
    """The addresses of a stopped exporter are free at once for the next exporter."""
    first = exporter()
    assert first.send(json.loads(EVENT)).status == 204
    assert first.stop() == 0
    second = exporter(
        f"--webhook.listen-address={first.webhook_address}",
        f"--web.listen-address={first.ops_address}",
    )
    assert second.webhook_address == first.webhook_address
    assert second.send(json.loads(EVENT)).status == 204


@contextlib.contextmanager
def slow_request(exporter: Exporter) -> Iterator[http.client.HTTPConnection]:
    """A request whose body the exporter waits for, on a connection of its own."""
    connection = http.client.HTTPConnection(exporter.webhook_address, timeout=20)
    try:
        connection.putrequest("POST", WEBHOOK_PATH)
        connection.putheader("Content-Length", str(len(EVENT)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        # It says so when it begins to read the body: from then on the request is in flight.
        assert connection.sock.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(EVENT[:10])
        yield connection
    finally:
        connection.close()


def finish(connection: http.client.HTTPConnection) -> int:
    """Send the rest of a slow request and return the status of its answer."""
    connection.send(EVENT[10:])
    return connection.getresponse().status


def counted(exporter: Exporter) -> float:
    """How many calls it has counted."""
    samples = exporter.metrics()
    return sum(
        value for (name, _), value in samples.items() if name == "bandwidth_voice_calls_total"
    )


def stopped(exporter: Exporter, number: signal.Signals) -> int:
    """Send a signal and return the exit code, which must be there in time."""
    exporter.process.send_signal(number)
    return exporter.process.wait(STOPS_WITHIN)


def refuses(address: str) -> bool:
    """Whether nobody listens at an address."""
    try:
        socket.create_connection(address_of(address), timeout=20).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it closed between our two packets
        return False
    return False


def address_of(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:43211`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def words(header: str) -> set[str]:
    """The words of a comma-separated header, in lower case."""
    return {word.strip().lower() for word in header.split(",")}
