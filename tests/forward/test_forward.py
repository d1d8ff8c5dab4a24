"""Deliveries that are passed on by the real exporter to a handler, and its answers back."""

import base64
import contextlib
import gzip
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from testkit import bandwidth, handlers
from testkit.certificates import dial
from testkit.client import Answer, Client
from testkit.exporter import WEBHOOK_PATH, Exporter, Samples
from testkit.handler import Handler, Request

pytestmark = pytest.mark.program

ALLOWED = {"Authorization": f"Basic {base64.b64encode(b'bandwidth:of old').decode()}"}
CREDENTIALS = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "of old"}
ENDED = {"eventType": "disconnect", "callId": "c-1", "direction": "inbound", "cause": "busy"}
BODY = json.dumps(ENDED).encode()


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    """The handler that answered the webhooks before there was an exporter."""
    with Handler(handlers.application) as running:
        yield running


@pytest.fixture(scope="module")
def running(handler: Handler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter before it: at its own path, and at all under another."""
    arguments = (
        f"--forward.url={handler.url}",
        f"--forward.route=/voice/={handler.url}",
        f"--forward.route=/moved/={handler.url}/deep/er/",
        f"--forward.route=/one={handler.url}/other",
        "--forward.timeout=10s",
    )
    directory = tmp_path_factory.mktemp("forward")
    with Exporter(directory, *arguments, env=CREDENTIALS) as exporter:
        yield exporter
        assert "Traceback" not in exporter.process.output(), exporter.process.tail()


def ask(
    address: str,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """The answer to one request on a connection of its own."""
    with contextlib.closing(Client(address)) as client:
        return client.request(method, target, body, headers)


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        value
        for (found, pairs), value in samples.items()
        if found == f"bandwidth_voice_{name}" and labels.items() <= dict(pairs).items()
    )


def essence(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """The parts of an answer that are its sender's: not the framing of the connection."""
    own = [(name.lower(), value) for name, value in answer.headers.items()]
    framing = ("transfer-encoding", "content-length", "connection")
    return answer.status, sorted(pair for pair in own if pair[0] not in framing), answer.body


def same(one: Request, other: Request) -> bool:
    """Whether a handler got the same of both: line and body; headers have tests of their own."""
    return (one.method, one.target, one.body) == (other.method, other.target, other.body)


def chunked(address: str, target: str, body: bytes, *headers: str) -> bytes:
    """Send a body in chunks, after a 100 where one is asked for; return the answer's bytes."""
    head = [f"POST {target} HTTP/1.1", "Host: a", "Connection: close", "Transfer-Encoding: chunked"]
    head += [f"Authorization: {ALLOWED['Authorization']}", *headers]
    received = b""
    with dial(address) as connection:
        connection.sendall("\r\n".join((*head, "", "")).encode())
        if any(header.startswith("Expect") for header in headers):
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(0, len(body), 1000):
            part = body[at : at + 1000]
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_every_event_of_the_sdk(
    running: Exporter, handler: Handler, method: str, coding: str
) -> None:
    """The handler gets every kind of event as from Bandwidth, which gets what it answers."""
    before = running.metrics()
    dice = random.Random(f"{method} {coding}")
    headers = {**ALLOWED, "Content-Type": "application/json", "Accept-Encoding": coding}
    for event_type in bandwidth.MODELS:
        event = bandwidth.event(event_type, dice)
        text = json.dumps(event, ensure_ascii=False).encode()
        body = text if method == "POST" else None
        target = f"/voice/{event_type}?{'a=%2B1&b=+&&c' if body else urlencode(event)}"
        answers = [
            ask(address, method, target, body, headers)
            for address in (running.webhook_address, handler.address)
        ]
        assert essence(answers[0]) == essence(answers[1])
        through, direct = handler.of(f"/voice/{event_type}")[-2:]
        assert same(through, direct)
        assert answers[0].headers.get("Content-Encoding", "identity") in (coding, "identity")
    moved = Counter(
        {
            (dict(pairs)["event_type"], dict(pairs)["result"]): int(value - before[name, pairs])
            for (name, pairs), value in running.metrics().items()
            if name == "bandwidth_voice_exporter_events_total"
        }
    )
    counted = ("disconnect", "transferDisconnect")
    results = dict.fromkeys(bandwidth.MODELS, "passed") | dict.fromkeys(counted, "counted")
    assert +moved == Counter(results.items())


def test_chunks_and_100_continue(running: Exporter, handler: Handler) -> None:
    """A body in chunks, with or without a wait for 100, is passed on byte for byte."""
    body = json.dumps({"eventType": "gather", "tag": "é" * 3000}).encode()
    for headers in ((), ("Expect: 100-continue",)):
        answer = chunked(running.webhook_address, "/voice/chunks", body, *headers)
        assert b"<Hangup />" in answer
        request = handler.of("/voice/chunks")[-1]
        assert request.body == body
        assert request.all("expect") == []


@pytest.mark.parametrize("status", [200, 204, 301, 307, 401, 404, 429, 500, 502, 504, 599, 799])
def test_answers_come_back_whole(running: Exporter, handler: Handler, status: int) -> None:
    """Every answer of the handler comes back whole, redirects and its own 401 included."""
    target = f"/voice/{status}"
    answers = [
        ask(address, "POST", target, b'{"eventType":"answer"}', ALLOWED)
        for address in (running.webhook_address, handler.address)
    ]
    assert answers[0].status == status
    kept = [pair for pair in essence(answers[1])[1] if pair[0] != "x-hop"]
    assert essence(answers[0])[1] == kept
    assert answers[0].body == answers[1].body
    assert answers[0].headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    code = str(status) if status < 599 else "other"
    assert total(running.metrics(), "exporter_forward_requests_total", route="/voice/", code=code)


def test_large_answers_come_back_whole(running: Exporter) -> None:
    """A megabyte is passed back as it comes."""
    answer = ask(
        running.webhook_address, "POST", "/voice/large", b'{"eventType":"answer"}', ALLOWED
    )
    assert answer.body == handlers.LARGE


def test_headers_on_the_way(running: Exporter, handler: Handler) -> None:
    """The handler gets what is end-to-end, its own Host, who came before, and nothing made up."""
    sent = {
        **ALLOWED,
        "User-Agent": "BandwidthAPI/2.0",
        "X-Custom": "caf\u00e9",
        "Cookie": "a=1",
        "Connection": "keep-alive, X-Mine",
        "X-Mine": "of this connection",
        "TE": "trailers",
        "X-Forwarded-For": "192.0.2.7",
        "Via": "1.1 balancer",
    }
    ask(running.webhook_address, "POST", "/voice/head", b'{"eventType":"answer"}', sent)
    request = handler.of("/voice/head")[-1]
    own = {name.lower(): value for name, value in request.headers}
    via = own.pop("via").split(", ")
    assert via[0] == "1.1 balancer"
    assert via[1].startswith("1.1 bandwidth-voice-exporter-")
    assert own == {
        "host": handler.address,
        "authorization": ALLOWED["Authorization"],
        "user-agent": "BandwidthAPI/2.0",
        "x-custom": "caf\u00c3\u00a9",  # its UTF-8, as the handler reads bytes
        "cookie": "a=1",
        "content-length": "22",
        "accept-encoding": "identity",  # http.client's own
        "x-forwarded-for": "192.0.2.7, 127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": running.webhook_address,
    }


def test_paths(running: Exporter, handler: Handler) -> None:
    """A path in the URL replaces the route's; steps up, and what is under no route, are refused."""
    for asked, got in {
        "/voice/a%2Fb//c?x": "/voice/a%2Fb//c?x",
        "/moved/a?b=c": "/deep/er/a?b=c",
        "/one?x=1": "/other?x=1",
        f"{WEBHOOK_PATH}?x=1": f"{WEBHOOK_PATH}?x=1",
    }.items():
        body = b'{"eventType":"answer"}'
        assert ask(running.webhook_address, "POST", asked, body, ALLOWED).status == 200, asked
        assert handler.requests[-1].target == got
    seen = len(handler.requests)
    for asked in ("/moved/../secret", "/moved/%2e%2e/secret", "/one/more", "/elsewhere", "/moved"):
        assert ask(running.webhook_address, "POST", asked, b"{}", ALLOWED).status == 404, asked
    assert ask(running.webhook_address, "GET", f"{WEBHOOK_PATH}/ready").status == 200
    assert len(handler.requests) == seen


def test_duplicates_are_passed_on(running: Exporter, handler: Handler) -> None:
    """An event that comes twice is counted once, and the handler gets both requests."""
    before = running.metrics()
    for _ in range(2):
        answer = ask(running.webhook_address, "POST", f"{WEBHOOK_PATH}?again", BODY, ALLOWED)
        assert answer.status == 204
    assert [one.target for one in handler.requests].count(f"{WEBHOOK_PATH}?again") == 2
    after = running.metrics()
    moved = {
        result: total(after, "exporter_events_total", event_type="disconnect", result=result)
        - total(before, "exporter_events_total", event_type="disconnect", result=result)
        for result in ("counted", "duplicate")
    }
    assert moved == {"counted": 1, "duplicate": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"not JSON", b"\x00\xff" * 50, b"x" * 70_000, b"y" * 1_000_000],
    ids=["empty", "array", "text", "binary", "larger-than-an-event", "a-megabyte"],
)
def test_malformed_requests_are_passed_on(running: Exporter, handler: Handler, body: bytes) -> None:
    """A body that is no event reaches the handler, and counts as passed, not as rejected."""
    before = running.metrics()
    answer = ask(running.webhook_address, "POST", "/voice/200", body, ALLOWED)
    assert answer.status == 200
    assert handler.of("/voice/200")[-1].body == body
    after = running.metrics()
    for name, labels, more in (
        ("exporter_events_total", {"event_type": "invalid", "result": "passed"}, 1),
        ("exporter_rejected_total", {}, 0),
    ):
        assert total(after, name, **labels) == total(before, name, **labels) + more


def test_what_is_not_passed_on(running: Exporter, handler: Handler) -> None:
    """Without credentials, by another method, or larger than allowed nothing reaches a handler."""
    seen = len(handler.requests)
    address = running.webhook_address
    assert ask(address, "POST", "/voice/x", b'{"eventType":"answer"}').status == 401
    assert ask(address, "PUT", "/voice/x", b"{}", ALLOWED).status == 405
    with contextlib.closing(http.client.HTTPConnection(address, timeout=20)) as client:
        client.request("POST", "/voice/x", headers={**ALLOWED, "Content-Length": "1048577"})
        assert client.getresponse().status == 413
    with contextlib.suppress(ConnectionError):  # closed while it still sends
        assert chunked(address, "/voice/x", b"x" * 1_048_577).startswith(b"HTTP/1.1 413 ")
    assert len(handler.requests) == seen


def test_compressed_answers_are_not_touched(running: Exporter) -> None:
    """An answer in gzip is passed back as it is."""
    headers = {**ALLOWED, "Accept-Encoding": "gzip"}
    body = b'{"eventType":"answer"}'
    answer = ask(running.webhook_address, "POST", "/voice/answer", body, headers)
    assert b"<Hangup />" in gzip.decompress(answer.body)
