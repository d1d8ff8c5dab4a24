"""Clients without credentials can do nothing to deliveries."""

import base64
import json
import random
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from bandwidth_voice_exporter.http import Bounds
from testkit import waiting
from testkit.calls import ended_call
from testkit.certificates import dial
from testkit.exporter import WEBHOOK_PATH, Exporter

pytestmark = pytest.mark.program

CREDENTIALS = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "a secret"}
AUTHORIZATION = "Authorization: Basic " + base64.b64encode(b"bandwidth:a secret").decode()
LIMITS = Bounds()
POST = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter with credentials."""
    with Exporter(tmp_path_factory.mktemp("guarded"), env=CREDENTIALS) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


def event() -> bytes:
    """An event of its own."""
    return json.dumps(ended_call(random.Random(time.time_ns()))).encode()


def delivery(*lines: str, start: str = POST, has_credentials: bool = True) -> bytes:
    """A request with an event, and these header lines."""
    body = event()
    credentials = (AUTHORIZATION,) if has_credentials else ()
    headers = "".join(f"{line}\r\n" for line in (*credentials, *lines))
    return f"{start}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def hears(sock: socket.socket, number: int = 0) -> list[int]:
    """The statuses of so many answers, or (0) of all until the other side hangs up."""
    received = b""
    statuses: list[int] = []
    with suppress(ConnectionError):
        while not number or len(statuses) < number:
            part = sock.recv(65536)
            if not part:
                break
            received += part
            statuses = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]
    return statuses


def is_open(sock: socket.socket) -> bool:
    """Whether the other side has nothing to say, its end included, for half a second."""
    return not select.select([sock], [], [], 0.5)[0]


def calls(exporter: Exporter) -> int:
    """The calls that are counted."""
    return round(
        sum(
            value
            for (name, _), value in exporter.metrics().items()
            if name == "bandwidth_voice_calls_total"
        )
    )


def rejected(exporter: Exporter, reason: str) -> int:
    """The requests that were rejected for a reason."""
    name = "bandwidth_voice_exporter_rejected_total"
    return round(exporter.metrics()[name, frozenset({("reason", reason)})])


def resident(exporter: Exporter) -> int:
    """Resident memory in bytes."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024


def pour(sock: socket.socket, part: bytes, most: int) -> int:
    """Send a part again and again until hung up on; return the bytes that were taken."""
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            sock.sendall(part)
            sent += len(part)
    return sent


# One request takes a bounded number of bytes, in whatever part of it they are (rows 1 to 3).


@pytest.mark.parametrize(
    ("opening", "part", "most"),
    [
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 4096, 8 << 10, id="endless-trailer"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b"a:b\r\n" * 800, 8 << 10, id="tiny-trailers"),
        pytest.param(CHUNKED, b"%x\r\n%b\r\n" % (8192, b"x" * 8192), 1 << 20, id="endless-body"),
        pytest.param(CHUNKED, b"1\r\nx\r\n" * 700, 4096 * 6, id="tiny-chunks"),
        pytest.param(CHUNKED, b"01\r\nx\r\n" * 600, 4096 * 7, id="chunks-like-a-last-one"),
        pytest.param(CHUNKED + b"2;", b"e" * 4096, 1 << 20, id="endless-extension"),
        pytest.param(POST.encode(), b"a:\r\n" * 1000, 80 << 10, id="tiny-headers"),
        pytest.param(POST.encode() + b"X: ", b"x" * 4096, 80 << 10, id="endless-header"),
        pytest.param(b"GET /", b"x" * 4096, 80 << 10, id="endless-url"),
        pytest.param(b"", b"\r\n" * 2048, 80 << 10, id="empty-lines"),
    ],
)
def test_a_request_takes_no_more_than_its_limit(
    guarded: Exporter, opening: bytes, part: bytes, most: int
) -> None:
    """A request that never ends is hung up on at its limit, and deliveries are answered on."""
    slack = 1 << 20  # in the kernel's buffers, on both sides, and under way
    with closing(dial(guarded.webhook_address)) as sock:
        # Otherwise the kernel takes megabytes more from a sender that is read slowly.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        sock.sendall(opening)
        assert pour(sock, part, most + 4 * slack) < most + slack
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(delivery())
        assert hears(sock, 1) == [204]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(f"{POST}X: {'y' * 100_000}\r\n\r\n".encode(), id="bytes"),
        pytest.param(POST.encode() + b"a:b\r\n" * 101 + b"\r\n", id="number"),
        pytest.param(POST.encode() + b"a:b\r\n" * 101, id="before-its-end"),
    ],
)
def test_a_long_head_in_one_write_is_refused(guarded: Exporter, request_: bytes) -> None:
    """A head beyond its limits is answered 431 though all of it comes at once."""
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(request_)
        assert hears(sock) == [431]


def test_heads_of_tiny_headers_take_no_memory(guarded: Exporter) -> None:
    """150 connections with heads of 79 KiB in headers of four bytes take under 16 MB."""
    before = resident(guarded)
    with ExitStack() as stack:
        for _ in range(150):
            sock = stack.enter_context(closing(dial(guarded.webhook_address)))
            with suppress(ConnectionError):
                sock.sendall(POST.encode() + b"a:\r\n" * (79 * 256))
        for _ in range(3):  # what was sent before is read before the last of these
            sock = stack.enter_context(closing(dial(guarded.webhook_address)))
            sock.sendall(delivery())
            assert hears(sock, 1) == [204]
        assert resident(guarded) - before < 16 << 20


def test_trailers_are_dropped(guarded: Exporter) -> None:
    """Credentials in a trailer count for nothing; a trailer beside them is no matter."""
    before = calls(guarded)
    body = event()
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(CHUNKED + chunks + f"{AUTHORIZATION}\r\n\r\n".encode())
        assert hears(sock, 1) == [401]
        head = f"{POST}{AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        sock.sendall(head + chunks + b"X-Checksum: 1\r\nAuthorization: Basic eDp5\r\n\r\n")
        assert hears(sock, 1) == [204]
    assert calls(guarded) - before == 1


# No way to send an event loses it (rows 4, 11, 13, 14).


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (("Connection: close", "Connection: Upgrade, HTTP2-Settings"), "1.1"),
        (("Connection: Upgrade, HTTP2-Settings", "Connection: close"), "1.1"),
        (("Connection: close, Upgrade, HTTP2-Settings",), "1.1"),
        (("Connection: Upgrade, HTTP2-Settings",), "1.0"),
        (("Connection: keep-alive, Upgrade, HTTP2-Settings",), "1.0"),
    ],
)
def test_an_offer_on_a_last_request(
    guarded: Exporter, lines: tuple[str, ...], version: str
) -> None:
    """An event that offers h2c and is its connection's last is answered 204 and counted."""
    before = calls(guarded)
    offer = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(delivery(*lines, *offer, start=POST.replace("1.1", version)))
        assert hears(sock) == [204]
    assert calls(guarded) - before == 1


@pytest.mark.parametrize("target", ["x:1", "*", WEBHOOK_PATH])
def test_nothing_follows_connect(guarded: Exporter, target: str) -> None:
    """An event behind a CONNECT is not read as a request, in the same packet or in the next."""
    before = calls(guarded)
    request = delivery(start=f"CONNECT {target} HTTP/1.1\r\n")
    for behind in (delivery(), b""):
        with closing(dial(guarded.webhook_address)) as sock:
            sock.sendall(request + behind)
            if not behind:
                with suppress(ConnectionError):
                    time.sleep(0)
                    sock.sendall(delivery())
            assert hears(sock) in ([400], [404], [405])
    assert calls(guarded) == before


@pytest.mark.parametrize(
    "junk",
    [b"\x00\x01\x02\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nA B: c\r\n\r\n"],
)
def test_junk_behind_an_event(guarded: Exporter, junk: bytes) -> None:
    """An event with junk behind it in the same packet is counted; what follows is a 400."""
    before = calls(guarded)
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(delivery() + junk)
        assert hears(sock) == [204, 400]
    assert calls(guarded) - before == 1


@pytest.mark.parametrize("number", [1, 5, 200])
def test_a_client_that_sends_no_more_is_answered(guarded: Exporter, number: int) -> None:
    """Events of a client that closes its half are all answered before the connection closes."""
    before = calls(guarded)
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(b"".join(delivery() for _ in range(number)))
        sock.shutdown(socket.SHUT_WR)
        assert hears(sock) == [204] * number
    assert calls(guarded) - before == number


def test_a_client_that_breaks_off_is_counted_so(guarded: Exporter) -> None:
    """A body that breaks off with its client's half of the connection is no event."""
    before = calls(guarded), rejected(guarded, "aborted")
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(delivery()[:-1])
        sock.shutdown(socket.SHUT_WR)
        assert hears(sock) == []
    waiting.until(lambda: rejected(guarded, "aborted") - before[1] == 1, "it is counted")
    assert calls(guarded) == before[0]


def test_a_long_pipeline_is_answered(guarded: Exporter) -> None:
    """200 events in one packet are all counted, answered one by one, and the connection stays."""
    before = calls(guarded)
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(b"".join(delivery() for _ in range(200)))
        assert hears(sock, 200) == [204] * 200
        assert is_open(sock)
    assert calls(guarded) - before == 200


# Bandwidth asks first, and a refusal leaves nothing that is taken for something else (row 15).


def test_bandwidth_asks_first(guarded: Exporter) -> None:
    """An event that is refused for want of credentials comes again on the same connection."""
    before = calls(guarded)
    with closing(dial(guarded.webhook_address)) as sock:
        for _ in range(3):
            sock.sendall(delivery(has_credentials=False))
            assert hears(sock, 1) == [401]
            sock.sendall(delivery())
            assert hears(sock, 1) == [204]
    assert calls(guarded) - before == 3


def test_a_body_that_was_not_asked_for(guarded: Exporter) -> None:
    """A refusal of one who waits for 100 Continue closes: its next event is not read as a body."""
    before = calls(guarded)
    following = delivery()
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(
            f"{POST}Expect: 100-continue\r\nContent-Length: {len(following)}\r\n\r\n".encode()
        )
        assert hears(sock) == [401]
    with closing(dial(guarded.webhook_address)) as sock:
        sock.sendall(following)
        assert hears(sock, 1) == [204]
    assert calls(guarded) - before == 1


# Where there is not enough for all, strangers go first (row 5).

FEW = 20


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Exporter]:
    """One that takes few connections."""
    flags = (f"--webhook.max-connections={FEW}",)
    with Exporter(tmp_path / "few", *flags, env=CREDENTIALS) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


def visit(sock: socket.socket) -> None:
    """Ask for what is not there, and take the answer where there is one."""
    with suppress(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        hears(sock, 1)


def elsewhere(exporter: Exporter) -> socket.socket:
    """A connection from another address than that of senders."""
    host, _, port = exporter.webhook_address.rpartition(":")
    return socket.create_connection((host, int(port)), 20, ("127.0.0.2", 0))


@pytest.mark.parametrize(
    ("come", "many"), [(elsewhere, 2 * FEW), (lambda few: dial(few.webhook_address), 2 * FEW + 200)]
)
def test_strangers_go_before_a_sender(
    few: Exporter, come: Callable[[Exporter], socket.socket], many: int
) -> None:
    """Strangers who are refused again and again do not push out a sender, even at its address."""
    with ExitStack() as stack:
        sender = stack.enter_context(closing(dial(few.webhook_address)))
        sender.sendall(delivery())
        assert hears(sender, 1) == [204]
        for _ in range(many // 5):
            strangers = [stack.enter_context(closing(come(few))) for _ in range(5)]
            for stranger in strangers:
                visit(stranger)
                visit(stranger)
        # Some of them may have been closed when they were refused: then there is room for more.
        while rejected(few, "overload") == 0:
            stack.enter_context(closing(come(few)))
        sender.sendall(delivery())
        assert hears(sender, 1) == [204]


def test_the_oldest_stranger_goes_first(few: Exporter) -> None:
    """A refused request does not make a connection young."""
    with ExitStack() as stack:
        strangers = [stack.enter_context(closing(dial(few.webhook_address))) for _ in range(15)]
        for stranger in [*strangers, *strangers, strangers[0]]:
            visit(stranger)
        while rejected(few, "overload") == 0:
            stack.enter_context(closing(dial(few.webhook_address)))
        assert not is_open(strangers[0])


def test_a_challenge_keeps_its_connection_where_others_are_closed(few: Exporter) -> None:
    """Nearly full, the first refusal on a connection keeps it, so that Bandwidth can ask first."""
    with ExitStack() as stack:
        for _ in range(FEW - 3):
            stack.enter_context(closing(dial(few.webhook_address)))
        sender = stack.enter_context(closing(dial(few.webhook_address)))
        for _ in range(2):
            sender.sendall(delivery(has_credentials=False))
            assert hears(sender, 1) == [401]
            sender.sendall(delivery())
            assert hears(sender, 1) == [204]
        for _ in range(2):
            sender.sendall(delivery(has_credentials=False))
        assert hears(sender) == [401, 401]


def test_a_sender_needs_no_room_where_it_has_delivered_before(few: Exporter) -> None:
    """While no connection can be closed, one more from a sender's address is answered at once."""
    with ExitStack() as stack:
        sender = stack.enter_context(closing(dial(few.webhook_address)))
        sender.sendall(delivery())
        assert hears(sender, 1) == [204]
        event = delivery()
        busy = [sender]
        busy += [stack.enter_context(closing(dial(few.webhook_address))) for _ in range(FEW - 1)]
        for each in busy:
            each.sendall(event[:-1])
        another = stack.enter_context(closing(dial(few.webhook_address)))
        another.sendall(delivery())
        assert hears(another, 1) == [204]
        for each in busy:  # within their 20 s
            each.sendall(event[-1:])
            assert hears(each, 1) == [204]


def test_all_unfinished_requests_together_are_bounded(guarded: Exporter) -> None:
    """600 senders who leave 130 KiB unfinished each take under 100 MB; another one is answered."""
    before = resident(guarded), rejected(guarded, "overload")
    value = "v" * 800
    head = f"{POST}{AUTHORIZATION}\r\n" + "".join(f"N{n}: {value}\r\n" for n in range(90))
    unfinished = f"{head}Content-Length: 65000\r\n\r\n".encode() + b" " * 60_000
    with ExitStack() as stack:
        senders = [stack.enter_context(closing(dial(guarded.webhook_address))) for _ in range(600)]
        for sender in senders:
            sender.sendall(delivery())
        for sender in senders:
            assert hears(sender, 1) == [204]
        for sender in senders:
            with suppress(ConnectionError):
                sender.sendall(unfinished)
        last = stack.enter_context(closing(dial(guarded.webhook_address)))
        last.sendall(delivery())
        assert hears(last, 1) == [204]
        assert rejected(guarded, "overload") > before[1]
        assert resident(guarded) - before[0] < 100_000_000
