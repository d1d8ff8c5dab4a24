"""Handlers that are away, slow or broken, and exporters that are killed while they pass on."""

import asyncio
import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import pytest

from testkit import bandwidth, handlers, waiting
from testkit.certificates import Authority
from testkit.client import Answer, Client
from testkit.exporter import WEBHOOK_PATH, Exporter, Samples, StartExporter
from testkit.handler import Handler, Request, Wire

pytestmark = pytest.mark.program

SECONDS = 1.5  # that the exporter under test gives a handler
REASONS = {
    "hung": "timeout",
    "reset": "reset",
    "torn": "reset",
    "torn-late": "reset",
    "rubbish": "protocol",
    "endless": "timeout",
}


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    """A handler that does badly whatever it is asked to."""
    with Handler(handlers.application) as running:
        yield running


@pytest.fixture(scope="module")
def running(handler: Handler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter before it, one connection in three for each of two paths."""
    arguments = (
        *(f"--forward.route=/{path}/={handler.url}" for path in ("voice", "other")),
        *(f"--forward.timeout={SECONDS}s", "--webhook.max-connections=30"),
    )
    with Exporter(tmp_path_factory.mktemp("failures"), *arguments) as exporter:
        yield exporter
        assert "Traceback" not in exporter.process.output(), exporter.process.tail()


def ended(call_id: str) -> bytes:
    """A call's end."""
    return json.dumps({"eventType": "disconnect", "callId": call_id, "cause": "busy"}).encode()


def ask(address: str, target: str, body: bytes) -> Answer | None:
    """The answer to one request on a connection of its own; None where there is none."""
    with contextlib.closing(Client(address)) as client:
        try:
            return client.request("POST", target, body)
        except (OSError, http.client.HTTPException):
            return None


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        value
        for (found, pairs), value in samples.items()
        if found == f"bandwidth_voice_{name}" and labels.items() <= dict(pairs).items()
    )


def counted(exporter: Exporter) -> float:
    """How many calls were counted."""
    return value(exporter.metrics(), "calls_total")


@pytest.mark.parametrize("fault", REASONS)
def test_a_broken_handler(running: Exporter, handler: Handler, fault: str) -> None:
    """Where no whole answer comes the connection is closed, with a reason; the call is counted."""
    before, seen = running.metrics(), len(handler.requests)
    began = time.monotonic()
    assert ask(running.webhook_address, f"/voice/{fault}", ended(fault)) is None
    assert time.monotonic() - began >= (SECONDS if REASONS[fault] == "timeout" else 0)
    after = running.metrics()
    failures = {
        reason: value(after, "exporter_forward_failures_total", reason=reason)
        - value(before, "exporter_forward_failures_total", reason=reason)
        for reason in ("connect", "timeout", "reset", "protocol", "overload")
    }
    assert {reason: moved for reason, moved in failures.items() if moved} == {REASONS[fault]: 1}
    assert value(after, "exporter_forward_up", route="/voice/") == 0
    assert value(after, "calls_total") - value(before, "calls_total") == 1
    # Cut off before anybody saw something of an answer, it is sent once more.
    assert len(handler.requests) - seen == (2 if fault in ("reset", "torn") else 1)
    assert ask(running.webhook_address, "/voice/200", ended(fault))
    assert value(running.metrics(), "exporter_forward_up", route="/voice/") == 1


def test_a_handler_that_goes_on_cutting_off_is_sent_each_once(
    running: Exporter, handler: Handler
) -> None:
    """After a second of nothing but resets a request is sent once, and twice after an answer."""
    address = running.webhook_address

    def tries() -> int:
        seen = len(handler.requests)
        assert ask(address, "/voice/reset", ended("again")) is None
        return len(handler.requests) - seen

    assert tries() == 2
    waiting.until(lambda: tries() == 1, "a handler that is known to fail")
    assert ask(address, "/voice/200", ended("again"))
    assert tries() == 2
    assert ask(address, "/voice/200", ended("again"))


async def stuck(_: Request, wire: Wire) -> None:
    """An answer that is large, and has no end."""
    await wire.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 20_000)
    await asyncio.sleep(600)


def test_large_answers_are_bounded(exporter: StartExporter) -> None:
    """Of 300 answers of more than 8 KiB at once from a handler 44 are given up: 256 may be."""
    with Handler(stuck) as handler, contextlib.ExitStack() as stack:
        running = exporter(f"--forward.route=/voice/={handler.url}", "--forward.timeout=24s")
        host, _, port = running.webhook_address.rpartition(":")
        for _ in range(300):
            client = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"POST /voice/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        waiting.until(
            lambda: (
                value(running.metrics(), "exporter_forward_failures_total", reason="overload") == 44
            ),
            "answers too many",
        )


def test_the_status_page_shows_it(running: Exporter) -> None:
    """The page says of each path how its handler does, and warns of one that does not answer."""
    assert ask(running.webhook_address, "/other/rubbish", b'{"eventType":"answer"}') is None
    page = running.ops.request("GET", "/").text
    assert "The handler of /other/ gave no answer" in page
    assert "which an exporter cannot give" not in page  # the handler gives BXML
    row = re.search(r"<tr><th scope=\"row\">/other/(.*?)</tr>", page)
    assert row
    assert "protocol" in row[1]
    assert "no answer" in row[1]
    assert ask(running.webhook_address, "/other/503", b'{"eventType":"answer"}')
    assert "The handler of /other/ gave no answer" not in running.ops.request("GET", "/").text


def test_a_slow_handler_has_its_share(exporter: StartExporter) -> None:
    """Ten requests may wait on a path; an eleventh is given up at once, others go on as before."""
    may_answer = asyncio.Event()

    async def slow(request: Request, wire: Wire) -> None:
        if request.target == "/voice/":
            await may_answer.wait()
        if request.target == "/other/go":
            may_answer.set()
        await wire.answer(200, b"at last")

    with Handler(slow) as handler, ThreadPoolExecutor(10) as pool:
        running = exporter(
            *(f"--forward.route=/{path}/={handler.url}/{path}/" for path in ("voice", "other")),
            *("--forward.timeout=20s", "--webhook.max-connections=30"),
        )
        address = running.webhook_address
        bodies = [ended(f"w-{one}") for one in range(10)]
        waiting_ones = [pool.submit(ask, address, "/voice/", body) for body in bodies]
        waiting.until(lambda: len(handler.requests) == len(bodies), "ten that wait")
        assert value(running.metrics(), "exporter_forward_in_flight", route="/voice/") == 10
        assert ask(address, "/voice/", ended("one-more")) is None
        other = ask(address, "/other/", ended("elsewhere"))
        assert other
        assert other.status == 200
        assert not any(one.done() for one in waiting_ones)
        assert ask(address, "/other/go", ended("elsewhere"))
        answers = [one.result(20) for one in waiting_ones]
    assert all(answer and answer.body == b"at last" for answer in answers)
    assert len([one for one in handler.requests if one.target == "/voice/"]) == len(bodies)
    samples = running.metrics()
    assert value(samples, "exporter_forward_failures_total", reason="overload") == 1
    assert value(samples, "exporter_forward_in_flight") == 0


async def circle(request: Request, wire: Wire) -> None:
    """A handler that is the exporter's client: sends on to where it came from."""
    back = http.client.HTTPConnection(request.all("x-forwarded-host")[0])
    with contextlib.closing(back):
        back.request("POST", "/circle", request.body, {"Via": request.all("via")[0]})
        with contextlib.suppress(http.client.HTTPException, OSError):
            back.getresponse()
    await wire.answer(200)


class Others(NamedTuple):
    """Handlers by what is wrong with them, and an exporter before them that may answer 204."""

    running: Exporter
    trusted: Handler
    untrusted: Handler
    circle: Handler


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    """All of them at once."""
    directory = tmp_path_factory.mktemp("others")
    ours, theirs = Authority(), Authority()
    (directory / "ca.pem").write_bytes(ours.pem)
    (directory / "credentials").write_text("handler:of its own\n")
    with (
        Handler(handlers.application, tls=ours.serving(directory, "ours")) as trusted,
        Handler(handlers.application, tls=theirs.serving(directory, "theirs")) as untrusted,
        Handler(circle) as around,
    ):
        with Handler(handlers.application) as gone:
            arguments = (
                *("--webhook.path=/own/200", f"--forward.url={trusted.url}"),
                f"--forward.route=/trusted={trusted.url}/200",
                f"--forward.route=/untrusted={untrusted.url}/200",
                f"--forward.route=/circle={around.url}",
                f"--forward.route=/gone={gone.url}",
                f"--forward.ca-file={directory / 'ca.pem'}",
                f"--forward.credentials-file={directory / 'credentials'}",
                *("--forward.timeout=1s", "--forward.on-failure=204"),
            )
        with Exporter(directory / "exporter", *arguments) as exporter:
            yield Others(exporter, trusted, untrusted, around)
            assert "Traceback" not in exporter.process.output(), exporter.process.tail()


def test_204_only_where_no_call_ends_by_it(others: Others) -> None:
    """With on-failure 204 it stands in for a handler, but not where BXML may be wanted."""
    expected = {
        "disconnect": 204,
        "recordingAvailable": 204,
        "answer": None,
        "referComplete": None,
        "somethingNew": None,
    }
    bodies = [
        *(json.dumps({"eventType": each, "callId": "c-1"}).encode() for each in expected),
        b"not JSON",
    ]
    address = others.running.webhook_address
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = [*pool.map(lambda body: ask(address, "/gone", body), bodies)]
    statuses = [answer.status if answer else None for answer in answers]
    assert statuses == [*expected.values(), None]
    failures = others.running.metrics()
    assert value(failures, "exporter_forward_failures_total", reason="connect") == len(bodies)
    assert value(failures, "exporter_forward_up", route="/gone") == 0


def test_certificates_are_checked(others: Others) -> None:
    """A handler that the CA file vouches for is asked; one that it does not gets nothing."""
    answer = ask(others.running.webhook_address, "/trusted", b'{"eventType":"answer"}')
    assert answer
    assert answer.status == 200
    assert ask(others.running.webhook_address, "/untrusted", b'{"eventType":"answer"}') is None
    assert others.trusted.requests
    assert not others.untrusted.requests
    samples = others.running.metrics()
    assert value(samples, "exporter_forward_failures_total", route="/untrusted", reason="tls") == 1


def test_credentials_of_the_handler(others: Others) -> None:
    """With a credentials file the handler gets its own, in place of what was sent."""
    sent = {"Authorization": "Basic bm90OmZvciBpdA=="}
    with contextlib.closing(Client(others.running.webhook_address)) as client:
        client.request("POST", "/trusted", b'{"eventType":"answer"}', sent)
    own = base64.b64encode(b"handler:of its own").decode()
    assert others.trusted.requests[-1].all("authorization") == [f"Basic {own}"]


def says(message: str, line: Mapping[str, object]) -> bool:
    """Whether a line of the log is this one."""
    return line["msg"] == message


def test_credentials_of_the_handler_follow_the_file(others: Others) -> None:
    """A new line is taken while the exporter runs; where there is none, the old one stays."""
    running = others.running
    file = running.process.stderr.parents[1] / "credentials"
    for text, said in (
        ("handler:new\n", "handlers' credentials loaded"),
        ("no pair\n", "handlers' credentials not usable, the old ones stay"),
    ):
        replacement = file.with_name("replacement")
        replacement.write_text(text)
        replacement.replace(file)
        running.wait_for_line(partial(says, said), said)
        ask(running.webhook_address, "/trusted", b'{"eventType":"answer"}')
        new = base64.b64encode(b"handler:new").decode()
        assert others.trusted.requests[-1].all("authorization") == [f"Basic {new}"]
    file.write_text("handler:of its own\n")
    running.process.send_signal(signal.SIGHUP)
    running.process.wait_until(
        lambda: (
            sum(one["msg"] == "handlers' credentials loaded" for one in running.log_lines()) > 1
        ),
        "the first line again",
    )


def test_certificates_follow_the_file(others: Others) -> None:
    """A new CA file decides who is trusted; where it is none, the old one and a 0 stay."""
    file = others.running.process.stderr.parents[1] / "ca.pem"

    def state() -> tuple[bool, bool]:
        """Whether what was read last is in force, and whether the handler is trusted."""
        loaded = value(others.running.metrics(), "exporter_credentials_last_load_successful")
        answer = ask(others.running.webhook_address, "/trusted", b'{"eventType":"answer"}')
        return bool(loaded), answer is not None

    for content, expected in (
        (b"nothing", (False, True)),
        (Authority().pem, (True, False)),
        (file.read_bytes(), (True, True)),
    ):
        replacement = file.with_name("new.pem")
        replacement.write_bytes(content)
        replacement.replace(file)
        waiting.until(partial(_is, state, expected), f"{expected}")


def _is(state: Callable[[], object], expected: object) -> bool:
    return state() == expected


@pytest.mark.parametrize("target", ["/own/200", "/trusted"])
def test_what_is_no_event(others: Others, target: str) -> None:
    """It is passed on and counted as such, on the webhook's path and others; it is no rejection."""
    before = others.running.metrics()
    answer = ask(others.running.webhook_address, target, b"not JSON")
    assert answer
    assert answer.status == 200
    after = others.running.metrics()
    invalid = {"event_type": "invalid", "result": "passed"}
    counted_so = [value(one, "exporter_events_total", **invalid) for one in (before, after)]
    assert counted_so[1] == counted_so[0] + 1
    assert not value(after, "exporter_rejected_total")
    message = "a request that is no event was passed on: no call is counted from it"
    others.running.wait_for_line(partial(says, message), message)


def test_a_circle_is_broken(others: Others) -> None:
    """A request that the exporter itself has passed on before is not passed on again."""
    answer = ask(others.running.webhook_address, "/circle", b'{"eventType":"answer"}')
    assert answer
    assert answer.status == 200
    assert len(others.circle.requests) == 1
    samples = others.running.metrics()
    assert value(samples, "exporter_forward_failures_total", route="/circle", reason="loop") == 1


def test_killed_before_and_after_the_handler_has_it(exporter: StartExporter) -> None:
    """Killed once it has recorded, or once the handler is at work, it counts once and delivers."""
    at_work, may_answer = threading.Event(), threading.Event()

    async def thorough(_: Request, wire: Wire) -> None:
        if not may_answer.is_set():
            at_work.set()
            await handlers.hung(_, wire)
        await wire.answer(204)

    with Handler(thorough) as handler, ThreadPoolExecutor(1) as pool:

        def kill(running: Exporter, body: bytes, when: Callable[[], bool]) -> Exporter:
            """Kill it when an event of this body has come so far; return its successor."""
            first = pool.submit(ask, running.webhook_address, WEBHOOK_PATH, body)
            waiting.until(when, "the moment")
            running.kill()
            assert first.result(20) is None  # a connection exception: Bandwidth sends again
            return exporter(f"--forward.url={handler.url}", "--forward.timeout=20s")

        def comes_again(running: Exporter, body: bytes) -> None:
            may_answer.set()
            again = ask(running.webhook_address, WEBHOOK_PATH, body)
            assert again
            assert again.status == 204
            may_answer.clear()

        running = exporter(f"--forward.url={handler.url}", "--forward.timeout=20s")
        handler.kill()
        running = kill(running, ended("c-1"), lambda: counted(running) == 1)
        assert counted(running) == 1
        handler.start()
        comes_again(running, ended("c-1"))
        assert counted(running) == 1
        running = kill(running, ended("c-2"), at_work.is_set)
        comes_again(running, ended("c-2"))
        assert counted(running) == 2
        assert [one.body for one in handler.requests] == [ended("c-1"), *[ended("c-2")] * 2]


def test_a_sender_like_bandwidth_gets_everything_there(exporter: StartExporter) -> None:
    """While the handler dies and comes back every event arrives, and is counted once."""
    events = [ended(f"c-{number}") for number in range(120)]
    with Handler(handlers.application) as handler:
        running = exporter(f"--forward.url={handler.url}", "--forward.timeout=15s")

        def send(body: bytes) -> int | None:
            with contextlib.closing(Client(running.webhook_address, timeout=30)) as client:
                answer = bandwidth.deliver(client, WEBHOOK_PATH, body, again_after=0.5)
                return answer.status if answer else None

        with ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(send, body) for body in events]
            waiting.until(lambda: len(handler.requests) > 30, "some of them")
            handler.kill()
            waiting.until(
                lambda: not value(running.metrics(), "exporter_forward_up"), "a try in vain"
            )
            handler.start()
            statuses = {one.result(60) for one in sent}
        assert statuses == {204}
        assert {one.body for one in handler.requests} == set(events)
        assert counted(running) == len(events)
