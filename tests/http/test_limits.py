"""Limits on what one connection may take of the webhook listener, and many from others."""

import json
import random
import re
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from bandwidth_voice_exporter.http import Bounds
from bandwidth_voice_exporter.metrics import catalog
from testkit import waiting
from testkit.calls import ended_call
from testkit.certificates import dial
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter

pytestmark = pytest.mark.program

SECONDS = 1.0  # what the hasty exporter gives a head or a body, beside a second to notice
CLOCK = 0.001  # seconds: the event loop's goes by whole milliseconds
HASTY = (
    "from functools import partial; from bandwidth_voice_exporter import cli, listeners; "
    "from bandwidth_voice_exporter.http import Bounds; "
    f"limits = Bounds(head_seconds={SECONDS}, body_seconds={SECONDS}); "
    "listeners.Terms = partial(listeners.Terms, limits=limits); cli.run()"
)
FEW = 20  # connections at once
LIMITS = Bounds()
POST = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: localhost\r\n"

Moved = Callable[[], Counter[str]]


def start_hasty(directory: Path, *args: str) -> Exporter:
    """An exporter whose deadlines a test can wait for."""
    return Exporter(directory, *args, program=(sys.executable, "-c", HASTY))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One for the tests that look at what their own requests move."""
    with start_hasty(tmp_path_factory.mktemp("limits")) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Exporter]:
    """A hasty one that takes few connections."""
    with start_hasty(tmp_path / "few", f"--webhook.max-connections={FEW}") as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


@pytest.fixture
def moved(hasty: Exporter) -> Moved:
    """The counts since the test began: calls, rejections by reason, answers by code."""
    before = counters(hasty)
    return lambda: counters(hasty) - before


def counters(exporter: Exporter) -> Counter[str]:
    """Calls, rejections by reason and answers by code."""
    totals: Counter[str] = Counter()
    for (name, pairs), value in exporter.metrics().items():
        labels = dict(pairs)
        if name == catalog.CALLS.name:
            totals["calls"] += int(value)
        elif name == catalog.REJECTED.name:
            totals[labels["reason"]] += int(value)
        elif name == catalog.WEBHOOK_REQUESTS.name:
            totals[labels["code"]] += int(value)
    return totals


def delivery(*lines: str, seed: int = 1) -> bytes:
    """A whole request with one event, and these header lines."""
    body = json.dumps(ended_call(random.Random(f"{seed} {time.time_ns()}"))).encode()
    headers = "".join(f"{line}\r\n" for line in lines)
    return f"{POST}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def to_the_end(sock: socket.socket, drip: bytes = b"", timeout: float = 20) -> bytes:
    """All that comes until the other side hangs up, while a byte is sent every tenth second."""
    received = b""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if select.select([sock], [], [], 0.1)[0]:
            try:
                part = sock.recv(65536)
            except ConnectionError:
                return received
            if not part:
                return received
            received += part
        elif drip:
            with suppress(OSError):  # the end is read next
                sock.sendall(drip)
    raise AssertionError(f"still open after {timeout:g} s, with {received!r}")


def answers(sock: socket.socket, number: int, timeout: float = 20) -> list[int]:
    """The statuses of so many answers on a connection that stays open."""
    sock.settimeout(timeout)
    received = b""
    while len(found := re.findall(rb"HTTP/1\.1 (\d+) ", received)) < number:
        part = sock.recv(65536)
        assert part, f"closed after {received!r}"
        received += part
    return [int(status) for status in found]


def seconds_of_an_event(exporter: Exporter, timeout: float = 30) -> float:
    """How long a real event takes from connecting to 204."""
    began = time.monotonic()
    with closing(dial(exporter.webhook_address, timeout)) as sock:
        sock.sendall(delivery())
        assert answers(sock, 1, timeout) == [204]
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("opening", "drip"),
    [(b"", b"\r\n"), (b"POST ", b""), (b"POST /", b"x"), (POST.encode(), b"x")],
    ids=["empty-lines", "breaks-off", "in-the-line", "in-a-header"],
)
def test_a_head_has_its_time(hasty: Exporter, moved: Moved, opening: bytes, drip: bytes) -> None:
    """A connection whose head is not whole in time is closed, with a 408, and counted."""
    began = time.monotonic()
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(opening)
        answer = to_the_end(sock, drip)
        life = time.monotonic() - began
    assert SECONDS - CLOCK <= life < SECONDS + 1
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert moved() == {"timeout": 1, "408": 1}


def test_silence_has_its_time(hasty: Exporter, moved: Moved) -> None:
    """A connection that never sends a byte is closed without one, and counted."""
    began = time.monotonic()
    with closing(dial(hasty.webhook_address)) as sock:
        assert to_the_end(sock, b"") == b""
        life = time.monotonic() - began
    assert SECONDS - CLOCK <= life < SECONDS + 1
    assert moved() == {"timeout": 1}


def test_a_later_head_has_the_same_time(hasty: Exporter, moved: Moved) -> None:
    """The head after an answer has as long as the first, from its first byte."""
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(delivery())
        assert answers(sock, 1) == [204]
        began = time.monotonic()
        sock.sendall(b"POST ")
        answer = to_the_end(sock, b"x")
        life = time.monotonic() - began
    assert SECONDS - CLOCK <= life < SECONDS + 1
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert moved() == {"calls": 1, "204": 1, "timeout": 1, "408": 1}


@pytest.mark.parametrize(
    ("framing", "drip"),
    [("Content-Length: 1000", b" "), ("Transfer-Encoding: chunked", b"1\r\n \r\n")],
)
def test_a_body_has_its_time(hasty: Exporter, moved: Moved, framing: str, drip: bytes) -> None:
    """A connection whose body is not whole in time is closed and counted."""
    began = time.monotonic()
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(f"{POST}{framing}\r\n\r\n".encode())
        to_the_end(sock, drip)
        life = time.monotonic() - began
    assert SECONDS - CLOCK <= life < SECONDS + 1
    waiting.until(lambda: moved()["timeout"] == 1, "the timeout is counted")
    assert moved() == {"timeout": 1}


def test_as_many_headers_as_allowed_are_read(hasty: Exporter, moved: Moved) -> None:
    """An event with 100 headers is counted."""
    more = (f"X-{number}: x" for number in range(LIMITS.headers - 2))
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(delivery(*more))
        assert answers(sock, 1) == [204]
    assert moved() == {"calls": 1, "204": 1}


def test_too_many_headers_are_refused(hasty: Exporter, moved: Moved) -> None:
    """An event with 101 headers is answered 431 and counted as such only."""
    more = (f"X-{number}: x" for number in range(LIMITS.headers - 1))
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(delivery(*more))
        assert to_the_end(sock).startswith(b"HTTP/1.1 431 ")
    assert moved() == {"headers": 1, "431": 1}


@pytest.mark.parametrize("start", [f"{POST}X: ", f"GET {WEBHOOK_PATH}?x="])
def test_a_head_without_end_is_refused(hasty: Exporter, moved: Moved, start: str) -> None:
    """A head that grows beyond its limit is not read on but closed, with a 431, and counted."""
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(start.encode())
        to_the_end(sock, b"x" * (LIMITS.head_bytes // 4))  # a reset may outrun the answer
    assert moved() == {"headers": 1, "431": 1}


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"EHLO x\r\n\r\n"],
    ids=["tls", "zeros", "smtp"],
)
def test_what_is_not_http_is_counted(hasty: Exporter, moved: Moved, garbage: bytes) -> None:
    """Bytes that are no HTTP are answered 400 and counted, and nothing is logged of them."""
    logged = hasty.process.output()
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(garbage)
        assert to_the_end(sock).startswith(b"HTTP/1.1 400 ")
    assert moved() == {"http": 1, "400": 1}
    assert hasty.process.output() == logged


@pytest.mark.parametrize(
    "head",
    [
        b"GET /webhooks/voice?eventType=disconnect HTTP/1.1\r\n a header: 1",
        b"POST /webhooks/voice HTTP/1.1\r\na header: \0",
    ],
    ids=["get", "post"],
)
def test_a_bent_event_is_told_of(hasty: Exporter, head: bytes) -> None:
    """A GET or POST that is no right HTTP may be an event: the log says so, and quotes nothing."""
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(head + b"\r\nHost: x\r\n\r\n")
        assert to_the_end(sock).startswith(b"HTTP/1.1 400 ")
    line = hasty.wait_for_line(lambda line: "no right HTTP" in line["msg"], "the refusal is logged")
    assert line["client"] == "127.0.0.1"
    assert "hooks" not in str(line)


@pytest.mark.parametrize(
    "split", [None, 0, 2, 7, 9], ids=["whole", "before", "in-the-name", "after-it", "in-the-line"]
)
def test_an_offer_to_upgrade_is_no_matter(hasty: Exporter, moved: Moved, split: int | None) -> None:
    """An event that offers h2c is counted like any other, in however many parts it comes."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    request = delivery(*offer)
    with closing(dial(hasty.webhook_address)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if split is not None:
            middle = request.index(b"Upgrade: h2c") + split
            sock.sendall(request[:middle])
            assert not select.select([sock], [], [], 0.2)[0]  # and that part was read by now
            request = request[middle:]
        sock.sendall(request)
        assert answers(sock, 1) == [204]
    assert moved() == {"calls": 1, "204": 1}


def test_pipelined_offers_to_upgrade_are_no_matter(hasty: Exporter, moved: Moved) -> None:
    """Events sent without waiting, each with an offer of another protocol, are all counted."""
    offer = ("Connection: Upgrade", "Upgrade: websocket")
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(b"".join(delivery(*offer, seed=number) for number in range(10)))
        assert answers(sock, 10) == [204] * 10
    assert moved() == {"calls": 10, "204": 10}


def test_pipelined_requests_are_all_answered(hasty: Exporter, moved: Moved) -> None:
    """Requests sent without waiting for answers are answered one by one, and all counted."""
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(b"".join(delivery(seed=number) for number in range(10)))
        assert answers(sock, 10) == [204] * 10
    assert moved() == {"calls": 10, "204": 10}


def test_an_idle_connection_is_kept(hasty: Exporter) -> None:
    """A connection without a request for longer than one may take takes the next one."""
    with closing(dial(hasty.webhook_address)) as sock:
        sock.sendall(delivery())
        assert answers(sock, 1) == [204]
        idle = SECONDS + 2  # with a second to notice, and one to be sure
        assert not select.select([sock], [], [], idle)[0], "closed or spoken to while idle"
        sock.sendall(delivery())
        assert answers(sock, 1) == [204]


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"POST /", id="in-a-head"),
        pytest.param(b"POST /elsewhere HTTP/1.1\r\nContent-Length: 9\r\n\r\n", id="answered-early"),
        pytest.param(b"GET /elsewhere HTTP/1.1\r\n\r\n", id="idle"),
    ],
)
def test_connections_without_an_event_make_room(exporter: StartExporter, opening: bytes) -> None:
    """More connections than allowed on which no event is read do not keep one from its answer."""
    running = exporter(f"--webhook.max-connections={FEW}")
    with ExitStack() as stack:
        for _ in range(FEW + FEW // 4):
            sock = stack.enter_context(closing(dial(running.webhook_address)))
            sock.sendall(opening)
        assert seconds_of_an_event(running) < 3
        assert counters(running)["overload"] > 0


def test_clients_that_do_not_read_make_room(few: Exporter) -> None:
    """Connections that never read their answers do not keep an event from its own."""
    requests = b"GET /elsewhere HTTP/1.1\r\n\r\n" * 1000
    with ExitStack() as stack:
        host, port = few.webhook_address.rsplit(":", 1)
        deaf = [stack.enter_context(closing(socket.socket())) for _ in range(FEW)]
        for sock in deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect((host, int(port)))
            sock.settimeout(0)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for sock in select.select([], deaf, [], 0.1)[1]:
                with suppress(OSError):  # full, or closed: both are an end
                    sock.send(requests)
        assert seconds_of_an_event(few) < 5


def test_pipelined_requests_take_no_memory(few: Exporter) -> None:
    """Connections full of requests whose answers nobody reads cost less than 5 MB each."""
    requests = b"GET / HTTP/1.1\r\n\r\n" * 50_000
    before = resident(few)
    with ExitStack() as stack:
        deaf = [stack.enter_context(closing(dial(few.webhook_address))) for _ in range(8)]
        for sock in deaf:
            sock.settimeout(0)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for sock in select.select([], deaf, [], 0.1)[1]:
                with suppress(OSError):
                    sock.send(requests)
            assert resident(few) - before < 8 * 5_000_000


def resident(exporter: Exporter) -> int:
    """Resident memory in bytes."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024


def test_where_all_are_busy_new_connections_wait(exporter: StartExporter) -> None:
    """With an event half read on every connection a new one waits, and is answered after them."""
    running = exporter(f"--webhook.max-connections={FEW}")
    with ExitStack() as stack:
        busy = []
        for number in range(FEW + 1):  # the one too many that is noticed is kept
            sock = stack.enter_context(closing(dial(running.webhook_address)))
            request = delivery(seed=number)
            sock.sendall(request[:-1])
            busy.append((sock, request[-1:]))
        running.wait_for_line(
            lambda line: line["msg"] == "too many connections: new ones wait", "the pause is logged"
        )
        late = stack.enter_context(closing(dial(running.webhook_address)))
        late.sendall(delivery(seed=FEW + 1))
        assert not select.select([late], [], [], 1)[0], "answered though all are busy"
        for sock, rest in busy:
            sock.sendall(rest)
            assert answers(sock, 1) == [204]
            sock.close()
        assert answers(late, 1) == [204]
    after = counters(running)
    assert (after["calls"], after["204"]) == (FEW + 2, FEW + 2)
    assert after["overload"] == 0


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET /webhooks/voice/ready HTTP/1.1\r\n", id="GET"),
        pytest.param(b"POST /nowhere HTTP/1.1\r\nContent-Length: 1\r\n", id="POST"),
    ],
)
def test_close_is_heard(hasty: Exporter, request_: bytes) -> None:
    """A request with Connection: close is answered, then the connection is closed, body or not."""
    with closing(dial(hasty.webhook_address)) as sock:
        body = b"x" if b"Length" in request_ else b""
        sock.sendall(request_ + b"Host: a\r\nConnection: close\r\n\r\n" + body)
        assert b"\r\nconnection: close\r\n" in to_the_end(sock)
