"""Delivery over real connections, against small servers that misbehave on purpose."""

import asyncio
import io
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import pytest

from bandwidth_voice_exporter.simulate.delivery import Courier, Score
from bandwidth_voice_exporter.simulate.journal import Journal
from bandwidth_voice_exporter.simulate.schedule import Planned, schedule
from bandwidth_voice_exporter.simulate.target import is_loopback, parse_target
from bandwidth_voice_exporter.simulate.traffic import Traffic, calls

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
PAUSE = b"<pause>"  # in an answer: what follows is sent a little later


class Request(msgspec.Struct):
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


Reply = Callable[[int, Request], bytes | None]
"""The answer to the n-th request (from 0); None closes the connection without one."""


class Outcome(msgspec.Struct):
    requests: list[Request]
    score: Score
    log: list[dict[str, Any]]


class File(io.BytesIO):
    """A file that can be read after it was closed."""

    written = b""

    def close(self) -> None:
        self.written = self.getvalue()
        super().close()


def deliver(  # noqa: PLR0913 - each is one knob of one test
    deliveries: list[Planned],
    reply: Reply,
    *,
    connections: int = 1,
    speed: float = 1e9,
    timeout: float = 15.0,
    user: str | None = None,
    challenge: bool = False,
    close_after: bool = False,
) -> Outcome:
    """Send the deliveries to a server that answers as told, and return what both sides saw."""
    requests: list[Request] = []
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        connection = opened
        try:
            while (request := await read(reader, connection)) is not None:
                number = len(requests)
                requests.append(request)
                answer = reply(number, request)
                if answer is None:
                    break
                first, *later = answer.split(PAUSE)
                writer.write(first)
                for part in later:
                    await asyncio.sleep(0.01)
                    writer.write(part)
                await writer.drain()
                if close_after:
                    break
        finally:
            writer.close()

    async def run() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        file = File()
        with Journal(file) as journal:
            courier = Courier(
                parse_target(f"http://127.0.0.1:{port}/hooks?key=1", user, challenge=challenge),
                journal,
                connections=connections,
                speed=speed,
                timeout=timeout,
            )
            await courier.run(deliveries)
        server.close()
        await server.wait_closed()
        log = [msgspec.json.decode(line) for line in file.written.splitlines()]
        return Outcome(requests, courier.score, log)

    return asyncio.run(within(30.0, run()))


async def within(seconds: float, outcome: Awaitable[Outcome]) -> Outcome:
    async with asyncio.timeout(seconds):
        return await outcome


async def read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *fields = head.decode("ascii").rstrip().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Request(line, headers, body, connection)


def planned(count: int, *, duplicates: float = 0.0, gets: float = 0.0) -> list[Planned]:
    return list(schedule(islice(calls(Traffic(seed=1, rate=600.0)), count), 1, duplicates, gets))


def always(answer: bytes) -> Reply:
    return lambda _number, _request: answer


def test_every_event_is_posted_once_as_json() -> None:
    """Each event is one POST of its payload, and one line in the log."""
    outcome = deliver(planned(50), always(NO_CONTENT), connections=4)
    sent = [msgspec.json.decode(request.body)["callId"] for request in outcome.requests]
    assert sorted(sent) == sorted(line["call_id"] for line in outcome.log)
    assert len(set(sent)) == 50
    assert {request.line for request in outcome.requests} == {"POST /hooks?key=1 HTTP/1.1"}
    assert {request.headers["Content-Type"] for request in outcome.requests} == {"application/json"}
    assert {line["status"] for line in outcome.log} == {204}
    assert outcome.score == Score(events=50, deliveries=50, requests=50, accepted=50)


def test_a_get_carries_the_event_in_its_query() -> None:
    """A delivery by GET has no body and its fields after the address's own query."""
    outcome = deliver(planned(5, gets=1.0), always(NO_CONTENT))
    assert {line["method"] for line in outcome.log} == {"GET"}
    for request in outcome.requests:
        assert request.line.startswith("GET /hooks?key=1&eventType=disconnect&eventTime=2")
        assert request.body == b""


def test_connections_are_kept_alive() -> None:
    """Many requests go over no more connections than the pool has."""
    outcome = deliver(planned(200), always(NO_CONTENT), connections=3)
    assert {request.connection for request in outcome.requests} == {1, 2, 3}


def test_credentials_go_out_as_basic() -> None:
    """With a user every request has the Authorization header."""
    outcome = deliver(planned(2), always(NO_CONTENT), user="bw:pa:ss")
    expected = "Basic " + b64encode(b"bw:pa:ss").decode()
    assert {request.headers["Authorization"] for request in outcome.requests} == {expected}


CHALLENGE = b'HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm="a"\r\nContent-Length: 0\r\n\r\n'


@pytest.mark.parametrize("gets", [0.0, 1.0])
def test_a_challenge_is_answered_with_the_same_event(gets: float) -> None:
    """With --challenge each event is sent without credentials, and with them once asked for."""
    outcome = deliver(
        planned(3, gets=gets),
        lambda _number, got: NO_CONTENT if "Authorization" in got.headers else CHALLENGE,
        user="bw:pass",
        challenge=True,
    )
    assert ["Authorization" in request.headers for request in outcome.requests] == [False, True] * 3
    for asked, told in zip(outcome.requests[::2], outcome.requests[1::2], strict=True):
        assert (asked.line, asked.body) == (told.line, told.body)
    assert [line["status"] for line in outcome.log] == [401, 204] * 3
    assert {request.connection for request in outcome.requests} == {1}
    assert outcome.score == Score(events=3, deliveries=3, requests=6, accepted=3)


def test_credentials_that_are_not_asked_for_are_not_sent() -> None:
    """With --challenge an event that is taken, or refused otherwise, is sent once."""
    answers = (NO_CONTENT, b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
    outcome = deliver(
        planned(2), lambda number, _request: answers[number], user="bw:pass", challenge=True
    )
    assert not any("Authorization" in request.headers for request in outcome.requests)
    assert outcome.score == Score(events=2, deliveries=2, requests=2, accepted=1, failed=1)


def test_wrong_credentials_are_not_sent_again() -> None:
    """A second 401 is the last word on an event."""
    outcome = deliver(planned(1), always(CHALLENGE), user="bw:wrong", challenge=True)
    assert [line["status"] for line in outcome.log] == [401, 401]
    assert outcome.score == Score(events=1, deliveries=1, requests=2, failed=1)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_an_http_status_is_not_retried(status: int) -> None:
    """A refused event is sent once, logged with its status, and failed."""
    answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status
    outcome = deliver(planned(3), always(answer))
    assert [(line["attempt"], line["status"], line["error"]) for line in outcome.log] == [
        (1, status, None)
    ] * 3
    assert outcome.score == Score(events=3, deliveries=3, requests=3, failed=3)


def test_a_connection_exception_is_retried_once_with_the_same_body() -> None:
    """A connection that closes without an answer gets the same event again, on a new one."""
    outcome = deliver(planned(1), lambda number, _request: None if number == 0 else NO_CONTENT)
    assert [(line["attempt"], line["status"], line["error"]) for line in outcome.log] == [
        (1, None, "ConnectionResetError"),
        (2, 204, None),
    ]
    first, second = outcome.requests
    assert first.body == second.body
    assert first.connection != second.connection
    assert outcome.score == Score(events=1, deliveries=1, requests=2, accepted=1)


def test_after_the_second_connection_exception_the_event_is_lost() -> None:
    """There is no third attempt."""
    outcome = deliver(planned(2), lambda _number, _request: None)
    assert [line["attempt"] for line in outcome.log] == [1, 2, 1, 2]
    assert outcome.score == Score(events=2, deliveries=2, requests=4, failed=2)


def test_nobody_listening_is_a_connection_exception() -> None:
    """A refused connection is logged as such, twice per event."""

    async def run() -> tuple[Score, bytes]:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        file = File()
        with Journal(file) as journal:
            target = parse_target(f"http://127.0.0.1:{port}/")
            courier = Courier(target, journal, connections=1, speed=1e9)
            await courier.run(planned(1))
        return courier.score, file.written

    score, written = asyncio.run(run())
    assert written.count(b'"error":"ConnectionRefusedError"') == 2
    assert score == Score(events=1, deliveries=1, requests=2, failed=1)


def test_a_timeout_is_not_retried() -> None:
    """An answer that does not come in time fails the event at the first attempt."""
    outcome = deliver(planned(1), always(b"HTTP/1.1 204"), timeout=0.2)
    assert [(line["attempt"], line["error"]) for line in outcome.log] == [(1, "TimeoutError")]
    assert outcome.score.failed == 1


def test_an_answer_that_is_no_http_is_not_retried() -> None:
    """Garbage fails the event at the first attempt."""
    outcome = deliver(planned(1), always(b"SSH-2.0-server\r\n\r\n"))
    assert [line["attempt"] for line in outcome.log] == [1]
    assert outcome.log[0]["status"] is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<pause>done\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n<pause>HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["length", "chunked", "interim"],
)
def test_answers_of_every_framing_are_understood(answer: bytes) -> None:
    """The next request follows on the same connection."""
    outcome = deliver(planned(5), always(answer))
    assert [line["status"] for line in outcome.log] == [200] * 5
    assert {request.connection for request in outcome.requests} == {1}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["announced", "by-end", "old"],
)
def test_a_server_that_closes_after_each_answer_loses_nothing(answer: bytes) -> None:
    """Each event goes over a connection of its own, without a retry."""
    outcome = deliver(planned(5), always(answer), close_after=True)
    assert [line["attempt"] for line in outcome.log] == [1] * 5
    assert outcome.score == Score(events=5, deliveries=5, requests=5, accepted=5)


def test_a_duplicate_has_the_call_id_and_body_of_its_first_delivery() -> None:
    """Second deliveries are the same bytes again, marked in the log."""
    outcome = deliver(planned(100, duplicates=0.2), always(NO_CONTENT))
    again = [line["call_id"] for line in outcome.log if line["duplicate"]]
    assert again
    bodies: dict[str, set[bytes]] = {}
    for request in outcome.requests:
        bodies.setdefault(msgspec.json.decode(request.body)["callId"], set()).add(request.body)
    assert all(len(bodies[call_id]) == 1 for call_id in again)
    assert outcome.score.events == 100
    assert outcome.score.deliveries == 100 + len(again)


def test_events_are_sent_at_their_moment_in_faster_time() -> None:
    """At speed 50 an event of second 10 goes out 0.2 s after the start, not before."""
    first, second = planned(2)
    late = [
        Planned(0.0, first.report, "POST", duplicate=False),
        Planned(10.0, second.report, "POST", duplicate=False),
    ]
    outcome = deliver(late, always(NO_CONTENT), speed=50.0)
    assert outcome.log[1]["sent_at"] - outcome.log[0]["sent_at"] > 0.15


def test_an_event_ends_at_the_moment_it_is_sent() -> None:
    """The end time that is reported is the wall time of the request, to the millisecond."""
    outcome = deliver(planned(3), always(NO_CONTENT))
    for line, request in zip(outcome.log, outcome.requests, strict=True):
        ended = datetime.fromisoformat(msgspec.json.decode(request.body)["endTime"])
        assert 0 <= line["sent_at"] - ended.timestamp() < 1.0


def between(body: dict[str, Any], earlier: str, later: str) -> float | None:
    if not (body.get(earlier) and body.get(later)):
        return None
    lasted = datetime.fromisoformat(body[later]) - datetime.fromisoformat(body[earlier])
    return lasted / timedelta(seconds=1)


def test_the_log_has_the_lengths_as_reported_and_no_personal_data() -> None:
    """The log's seconds are those between the reported times; numbers and tags are not in it."""
    outcome = deliver(planned(300), always(NO_CONTENT))
    for line, request in zip(outcome.log, outcome.requests, strict=True):
        body = msgspec.json.decode(request.body)
        assert line["answered"] == (body.get("answerTime") is not None)
        assert line["duration_seconds"] == between(body, "answerTime", "endTime")
        assert line["setup_seconds"] == between(body, "startTime", "answerTime")
        assert line["queue_seconds"] == between(body, "enqueuedTime", "startTime")
        unanswered = None if line["answered"] else between(body, "startTime", "endTime")
        assert line["unanswered_seconds"] == unanswered
        assert line["error_id"] == body.get("errorId")
        assert line["sip_response_code"] == body.get("sipResponseCode")
        assert line["application"] == body.get("applicationId")
        text = repr(line)
        assert not [name for name in ("from", "to", "tag") if body.get(name) and body[name] in text]


def test_stopping_finishes_what_is_in_flight_and_sends_nothing_more() -> None:
    """After a stop every request that was sent has its line, and the rest is not sent."""
    outcome = asyncio.run(within(30.0, stopped_in_flight()))
    assert len(outcome.requests) == 4
    assert [line["status"] for line in outcome.log] == [204] * 4
    assert outcome.score.failed == 0


async def stopped_in_flight() -> Outcome:
    requests: list[Request] = []
    all_busy, go_on = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read(reader, 0)) is not None:
            requests.append(request)
            if len(requests) == 4:
                all_busy.set()
            await go_on.wait()
            writer.write(NO_CONTENT)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    file = File()
    with Journal(file) as journal:
        target = parse_target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        courier = Courier(target, journal, connections=4, speed=1e9)
        running = asyncio.create_task(courier.run(planned(100)))
        await all_busy.wait()
        courier.stop()
        go_on.set()
        await running
    server.close()
    await server.wait_closed()
    return Outcome(requests, courier.score, [msgspec.json.decode(x) for x in file.written.split()])


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://127.0.0.1:1/", True),
        ("http://[::1]:1/", True),
        ("https://127.9.9.9/", True),
        ("http://192.0.2.1/", False),
        ("http://[2001:db8::1]/", False),
        ("http://0.0.0.0/", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(url: str, answer: bool) -> None:  # noqa: FBT001 - a parameter of the case
    """Addresses of a network are never taken for the machine itself."""
    assert is_loopback(parse_target(url)) is answer


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://127.0.0.1/",
        "127.0.0.1:10061",
        "http://",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/ä",
        "http://127.0.0.1:99999/",
    ],
)
def test_what_is_no_webhook_address_is_refused(url: str) -> None:
    """An address of another kind raises ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse_target(url)
