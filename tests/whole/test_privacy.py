"""No phone number, tag or SIP user of any request comes out of the real program again."""

import asyncio
import base64
import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_plus

import pytest

from bandwidth_voice_exporter.ledger import FILE
from bandwidth_voice_exporter.ledger.key import KEY
from bandwidth_voice_exporter.voice import Pseudonyms
from testkit import handlers
from testkit.exporter import OPENMETRICS, TEXT, WEBHOOK_PATH, Exporter, StartExporter
from testkit.handler import Handler
from testkit.simulator import simulate

EVENTS = 1500
PERSONAL_FIELDS = ("from", "to", "tag", "transferTo", "transferCallerId")
FIELD = re.compile(rb'"(?:%b)":"([^"]*)"' % "|".join(PERSONAL_FIELDS).encode())
PARAMETER = re.compile(rb"[?&](?:%b)=([^& ]*)" % "|".join(PERSONAL_FIELDS).encode())
NATIONAL = 10  # digits of a number without its country
# A number of this test's own, in the forms that it could come back in.
NUMBER = "+14155550123"
TAG = "Rosalind Achterberg"
PLANTED = {
    "international": "+14155550123",
    "without plus": "14155550123",
    "national": "4155550123",
    "escaped": "%2B14155550123",
    "sip user": "sip:+14155550123@pbx.example.com",
    "in a label": 'bandwidth_voice_calls_total{cause="callee-4155550123"} 1',
    "in a log line": '{"msg":"cannot read","target":"/webhooks/voice?to=%2B14155550123"}',
    "tag": f"the call of {TAG} is over",
    "escaped tag": f"GET /?tag={quote(TAG)} HTTP/1.1",
    "tag with plus": "tag=Rosalind+Achterberg&",
}


class Personal:
    """The numbers and tags that went in, none of which may come out again."""

    def __init__(self, values: set[str]) -> None:
        digits = {digit for value in values for digit in re.findall(r"\d{10,}", value)}
        self.numbers = {number[-NATIONAL:] for number in digits}
        # Of a tag, the words before its digits: names of people in the simulator's traffic.
        tags = {re.split(r"\s*,|\s*\d", value)[0] for value in values if " " in value}
        self.words = {tag for tag in tags if len(tag) > 3}

    def found_in(self, text: str) -> list[str]:
        """Every number or tag that a text holds, escaped or not."""
        found = []
        for form in (text, unquote_plus(text)):
            for run in re.findall(r"\d{10,}", form):
                windows = (run[at : at + NATIONAL] for at in range(len(run) - NATIONAL + 1))
                found += [window for window in windows if window in self.numbers]
            found += [word for word in self.words if word in form]
        return found


@dataclass
class Recording:
    """A proxy before an address, and everything that went through it."""

    address: str
    sent: list[bytearray]
    answered: list[bytearray]

    def personal(self) -> set[str]:
        """The values of the personal fields in the requests."""
        found: set[str] = set()
        for stream in map(bytes, self.sent):
            found |= {value.decode() for value in FIELD.findall(stream)}
            found |= {unquote_plus(value.decode()) for value in PARAMETER.findall(stream)}
        return found


@contextlib.contextmanager
def recording(target: str) -> Iterator[Recording]:
    """A proxy in a thread of its own that passes bytes on to an address and keeps them."""
    host, _, port = target.rpartition(":")
    kept = Recording("", [], [])
    loop = asyncio.new_event_loop()
    open_ones: set[asyncio.Task[None]] = set()

    async def copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: bytearray
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                to += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        sent, answered = bytearray(), bytearray()
        kept.sent.append(sent)
        kept.answered.append(answered)
        upstream = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, upstream[1], sent), copy(upstream[0], writer, answered))
        open_ones.discard(task)

    async def close() -> None:
        server.close()
        if open_ones:
            await asyncio.wait(open_ones, timeout=10)
        await server.wait_closed()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    kept.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield kept
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


FAILURES = ("/failures", "/api/v1/failures", "/api/v1/failures.csv")


def everything(exporter: Exporter, *pages: str) -> dict[str, str]:
    """All that the program shows: metrics in every format, its pages, and what it has written."""
    shown = {}
    for accept in (TEXT, OPENMETRICS):
        for headers in ({}, {"X-Prometheus-Scrape-Timeout-Seconds": "10"}):
            for coding in ("identity", "gzip"):
                sent = {"Accept": accept, "Accept-Encoding": coding, **headers}
                answer = exporter.ops.request("GET", "/metrics", headers=sent)
                assert answer.status == 200
                body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
                shown[f"/metrics as {sent}"] = f"{answer.headers}{body.decode()}"
    for path in ("/", *pages, "/-/healthy", "/-/ready", "/nothing"):
        answer = exporter.ops.request("GET", path)
        shown[path] = f"{answer.headers}{answer.text}"
    shown["log"] = exporter.process.output()
    return shown


def leaks(personal: Personal, shown: dict[str, str]) -> dict[str, list[str]]:
    """Where something personal was found, and what."""
    return {where: found for where, text in shown.items() if (found := personal.found_in(text))}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_the_check_finds_what_is_planted(planted: str) -> None:
    """A number or a tag in any of its forms is found in a text around it."""
    personal = Personal({NUMBER, "sip:+12065550142@pbx.example.com", f"{TAG}, account 0123456789"})
    assert personal.numbers == {"4155550123", "2065550142", "0123456789"}
    clean = "# HELP x 1763555014.25\n c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d\n"
    assert personal.found_in(clean) == []
    assert personal.found_in(f"{clean}{planted}\n{clean}") != []


def test_a_simulated_run_leaves_nothing_personal(exporter: StartExporter, tmp_path: Path) -> None:
    """After a run with GET, duplicates and transfers no number or tag of it is to be read."""
    running = exporter("--log.level=debug")
    arguments = (
        *("--seed=20260302", f"--events={EVENTS}", "--speed=100000", "--rate=600", "--flat"),
        *("--get-share=0.3", "--duplicate-share=0.1", "--transfer-share=0.3"),
        "--incident=cause=busy,after=0s,for=1h,share=0.2",
    )
    with recording(running.webhook_address) as proxy:
        log = simulate(tmp_path / "run", f"http://{proxy.address}{WEBHOOK_PATH}", *arguments)
    kinds = {(line["event_type"], line["method"], line["duplicate"]) for line in log}
    assert len(kinds) == 8, "not every kind of request was sent"
    assert {line["status"] for line in log} == {204}

    values = proxy.personal()
    personal = Personal(values)
    assert len(personal.numbers) > EVENTS
    assert any(value.startswith("sip:") for value in values)
    assert "Dana Whitfield" in personal.words
    # The requests themselves are where it must be found, or the check is worth nothing.
    assert personal.found_in(bytes(proxy.sent[0]).decode())

    answers = {
        f"answers of connection {n}": bytes(a).decode() for n, a in enumerate(proxy.answered)
    }
    assert sum(text.count("HTTP/1.1 204") for text in answers.values()) == len(log)
    assert leaks(personal, answers | everything(running)) == {}
    # The ids that trace failed calls are there, so the search had the real output.
    assert re.search(r'error_id="[0-9a-f]{8}-', running.scrape().text)
    assert '# {call_id="c-' in running.scrape(OPENMETRICS).text
    assert running.stop() == 0
    assert leaks(personal, {"log": running.process.output()}) == {}


DIGITS = NUMBER.removeprefix("+")
EVENT = {
    "eventType": "disconnect",
    "callId": "c-1",
    "from": NUMBER,
    "to": f"sip:{NUMBER}@pbx.example.com",
    "tag": f"{TAG} {NUMBER}",
    "cause": "busy",
    "errorMessage": f"{NUMBER} ({TAG}) is busy",
}
BODY = json.dumps(EVENT).encode()
QUERY = f"?to={quote(NUMBER)}&tag={quote(TAG)}"


def request(method: str, target: str, body: bytes = b"", *headers: str) -> bytes:
    """A request as bytes, after which the connection is closed."""
    head = [f"{method} {target} HTTP/1.1", "Host: a", "Connection: close", *headers]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def chunked(body: bytes) -> bytes:
    """A request whose body is one chunk, and no end."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"%x\r\n%b\r\n" % (len(body), body)


REJECTED = {
    "cut off": (400, request("POST", WEBHOOK_PATH, BODY[:-1])),
    "cut off with a query": (400, request("POST", WEBHOOK_PATH + QUERY, BODY[:-1])),
    "array": (400, request("POST", WEBHOOK_PATH, b"[%b]" % BODY)),
    "text": (400, request("POST", WEBHOOK_PATH, NUMBER.encode())),
    "form": (400, request("POST", WEBHOOK_PATH, QUERY.encode())),
    "after the end": (400, request("POST", WEBHOOK_PATH, BODY + NUMBER.encode())),
    "bad escape": (400, request("POST", WEBHOOK_PATH, BODY.replace(b"+1", b"\\+1"))),
    "too large": (413, request("POST", WEBHOOK_PATH, BODY.ljust(70_000))),
    "too large a chunk": (413, chunked(BODY.ljust(70_000))),
    "too large a query": (413, request("GET", f"{WEBHOOK_PATH}{QUERY}&x={'x' * 40_000}")),
    "too long for a URL": (400, request("GET", f"{WEBHOOK_PATH}{QUERY}&x={'x' * 70_000}")),
    "path": (404, request("POST", f"/voice/{DIGITS}{QUERY}", BODY)),
    "path beside": (404, request("GET", f"{WEBHOOK_PATH}/{quote(NUMBER)}{QUERY}")),
    "path in disguise": (404, request("GET", f"{WEBHOOK_PATH}%2f{DIGITS}/{quote(TAG)}")),
    "method": (405, request("PUT", f"{WEBHOOK_PATH}{QUERY}", BODY)),
    "own method": (405, request("PROPFIND", f"{WEBHOOK_PATH}{QUERY}")),
    "health": (405, request("POST", f"{WEBHOOK_PATH}/ready{QUERY}", BODY)),
    "no method": (400, request(f"X{DIGITS}", f"{WEBHOOK_PATH}{QUERY}")),
    "no HTTP": (400, b"%b\r\n\r\n" % BODY),
    "header": (400, request("POST", WEBHOOK_PATH, BODY, f"Content-Length: {NUMBER}")),
    "aborted": (None, request("POST", WEBHOOK_PATH, BODY)[:-20]),
}
# Where a number or a tag may stand by mistake, in events that are counted all the same.
FIELDS = (
    *("eventType", "eventTime", "applicationId", "callId", "parentCallId", "direction"),
    *("enqueuedTime", "startTime", "answerTime", "endTime", "cause"),
    *("errorId", "sipCallId", "sipResponseCode", "errorMessage"),
)
DASHED = f"callee-{DIGITS[-10:-7]}-{DIGITS[-7:-4]}-{DIGITS[-4:]}"
VALUES = (NUMBER, DIGITS, f"x-{DIGITS[1:]}", DASHED, int(DIGITS), [NUMBER], f"{TAG} {NUMBER}")
COUNTED = {
    f"{name}={value!r}": json.dumps(EVENT | {"callId": f"c-{name}-{at}", name: value}).encode()
    for name in FIELDS
    for at, value in enumerate(VALUES)
}


def exchange(exporter: Exporter, sent: bytes, *, is_whole: bool = True) -> bytes:
    """Send a request on a connection of its own and return all that comes until it is closed."""
    host, _, port = exporter.webhook_address.rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        # The exporter may hang up during either when it refuses a request without reading on.
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            if not is_whole:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                received += data
    return received


def test_rejected_requests_leave_nothing_personal(exporter: StartExporter) -> None:
    """Requests that are refused for any reason come back nowhere, neither number nor tag."""
    running = exporter("--log.level=debug", "--webhook.max-body-bytes=32KiB")
    personal = Personal({NUMBER, TAG})
    answers = {}
    for name, (status, sent) in REJECTED.items():
        assert personal.found_in(sent.decode())
        answers[name] = exchange(running, sent, is_whole=name != "aborted").decode()
        got = int(answers[name].split()[1]) if answers[name] else None
        # A 413 may be lost where the rest of the body is still being sent: its count is not.
        assert got == status or (got, status) == (None, 413), name
    running.process.wait_until(lambda: rejected(running, "aborted"), "the aborted request")
    assert rejected(running, "too_large") == 3
    assert leaks(personal, answers | everything(running)) == {}
    assert running.stop() == 0
    assert leaks(personal, {"log": running.process.output()}) == {}


def test_numbers_in_the_wrong_fields_stay_in(exporter: StartExporter) -> None:
    """A number or a tag in a field that is used is counted as unusable and not shown."""
    running = exporter("--log.level=debug", "--errors.max-new-per-minute=1000")
    personal = Personal({NUMBER, TAG})
    answers = {
        name: exchange(running, request("POST", WEBHOOK_PATH, body)).decode()
        for name, body in COUNTED.items()
    }
    assert {text.split()[1] for text in answers.values()} == {"204"}
    samples = running.metrics().items()
    counts = [value for (name, _), value in samples if name == "bandwidth_voice_calls_total"]
    assert sum(counts) == len(COUNTED)  # none of them a duplicate
    assert leaks(personal, answers | everything(running)) == {}
    assert running.stop() == 0
    assert leaks(personal, {"log": running.process.output()}) == {}


PERSON = "alice.achterberg"
PERSONAL_IDS = (
    *(NUMBER, DIGITS, f"call-{DIGITS}", "415-555-0123", f"c-{DIGITS}"),
    *(f"sip:{NUMBER}@pbx.example.com", f"sip:{PERSON}@pbx.example.com", f"{PERSON}@example.com"),
)


@pytest.mark.parametrize("storage", ["--storage.path=data", "--storage.path="])
def test_personal_ids_are_kept_nowhere(
    exporter: StartExporter, tmp_path: Path, storage: str
) -> None:
    """A call whose id is a number or an address is counted once, and the id is on no disk."""
    data = tmp_path / "exporter" / "data"
    arguments = ("--log.level=debug", storage)
    running = exporter(*arguments)
    events = [
        EVENT | {"callId": one, "parentCallId": one, "errorId": f"E-{at}", "tag": PERSON}
        for at, one in enumerate(PERSONAL_IDS)
    ]
    for _ in range(2):
        assert {running.send(event).status for event in events} == {204}
    assert errors_of(running, "callId") == errors_of(running, "parentCallId") == 2 * len(events)
    shown = everything(running, *FAILURES)
    assert "E-0" in shown["/api/v1/failures"] or storage.endswith("=")  # the calls are there
    assert calls_of(running) == len(events)
    secret = (data / KEY).read_bytes() if data.exists() else b""
    assert running.stop() == 0
    if secret:
        running = exporter(*arguments)
        assert {running.send(event).status for event in events} == {204}
        assert calls_of(running) == len(events)
        shown |= {f"{place} again": text for place, text in everything(running, *FAILURES).items()}
        assert running.stop() == 0
        assert (data / KEY).read_bytes() == secret
        assert (data / KEY).stat().st_mode & 0o777 == 0o600
        files = {file.name: file.read_bytes() for file in data.iterdir() if file.name != KEY}
        shown |= {name: found.decode("latin-1") for name, found in files.items()}
        pseudonyms = [Pseudonyms(secret)(one) for one in PERSONAL_IDS]
        assert all(one.encode() in files[FILE] for one in pseudonyms)
        for where, text in shown.items():
            assert where == FILE or not [one for one in pseudonyms if one[1:] in text], where
            assert secret.decode("latin-1") not in text
            assert secret.hex() not in text
    assert leaks(Personal({NUMBER}), shown) == {}
    assert [where for where, text in shown.items() if PERSON in text] == []


def errors_of(exporter: Exporter, field: str) -> float:
    """How often an exporter could not use a field for its form."""
    labels = frozenset({("field", field), ("reason", "malformed")})
    return exporter.metrics()["bandwidth_voice_exporter_field_errors_total", labels]


def calls_of(exporter: Exporter) -> float:
    """How many calls an exporter has counted."""
    samples = exporter.metrics().items()
    return sum(value for (name, _), value in samples if name == "bandwidth_voice_calls_total")


def test_unauthorized_requests_leave_nothing_personal(exporter: StartExporter) -> None:
    """No content of a request with wrong credentials is shown, and no credentials are."""
    environment = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "Rosalind Achterberg"}
    running = exporter("--log.level=debug", env=environment)
    personal = Personal({NUMBER, TAG})
    wrong = base64.b64encode(f"{NUMBER}:{TAG}".encode()).decode()
    good = base64.b64encode(b"bandwidth:Rosalind Achterberg").decode()
    answers: dict[str, str] = {}
    for credentials in ((), (f"Authorization: Basic {wrong}",), (f"Authorization: {NUMBER}",)):
        for sent in (
            request("POST", WEBHOOK_PATH, BODY, *credentials),
            request("GET", WEBHOOK_PATH + QUERY, b"", *credentials),
        ):
            text = exchange(running, sent).decode()
            assert text.startswith("HTTP/1.1 401 ")
            answers[f"{len(answers)}"] = text
    sent = request("POST", WEBHOOK_PATH, BODY, f"Authorization: Basic {good}")
    assert exchange(running, sent).startswith(b"HTTP/1.1 204 ")
    shown = answers | everything(running)
    assert leaks(personal, shown) == {}
    assert not [where for where, text in shown.items() if wrong in text or good in text]
    assert running.stop() == 0
    assert leaks(personal, {"log": running.process.output()}) == {}


def test_what_is_passed_on_leaves_nothing_personal(exporter: StartExporter) -> None:
    """No number or tag of a forwarded request stays here, whatever the handler does with it."""
    personal = Personal({NUMBER, TAG})
    body = json.dumps({**EVENT, "errorMessage": f"{NUMBER} is busy"}).encode()
    faults = ("reset", "torn", "torn-late", "rubbish", "endless", "hung", "200", "301", "large")
    with Handler(handlers.application) as handler:
        gone = Handler(handlers.application)
        gone.close()
        running = exporter(
            *(f"--forward.route=/{name}/={handler.url}" for name in faults),
            f"--forward.route=/gone/={gone.url}",
            *("--forward.timeout=700ms", "--log.level=debug", "--forward.max-body-bytes=100KiB"),
        )
        for name in (*faults, "gone"):
            for sent in (
                request("POST", f"/{name}/{name}{QUERY}", body),
                request("GET", f"/{name}/{name}{QUERY}", b"", f"X-Caller: {NUMBER}"),
                request("POST", f"/{name}/{name}{QUERY}", body.ljust(70_000)),
                request("POST", f"/{name}/{name}{QUERY}", body.ljust(120_000)),
            ):
                exchange(running, sent)
        assert personal.found_in(str(handler.requests))
        files = {
            str(path): path.read_bytes().decode("latin-1")
            for path in running.process.stdout.parent.rglob("*")
            if path.is_file()
        }
        assert any(name.endswith("ledger.sqlite3") for name in files)
        assert leaks(personal, files | everything(running)) == {}
        assert running.stop() == 0
    assert leaks(personal, {"log": running.process.output()}) == {}


def rejected(exporter: Exporter, reason: str) -> float:
    """How many requests were rejected for a reason."""
    name = ("bandwidth_voice_exporter_rejected_total", frozenset({("reason", reason)}))
    return exporter.metrics()[name]
