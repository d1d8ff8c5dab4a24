"""The fuzzers on a small scale, and the faults that they found."""

import json
import random
import socket
import struct
from pathlib import Path

import pytest
import uvloop

from bandwidth_voice_exporter.voice.call import read_event
from bandwidth_voice_exporter.voice.payload import Payload
from lab.fuzz.connection import Answers, dial
from lab.fuzz.decoder import seeds
from lab.fuzz.mutations import Mutator
from lab.fuzz.oracle import Oracle
from lab.fuzz.pieces import compare
from lab.fuzz.socket_client import Plan, fuzz
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter

REQUESTS = 10_000
OFFER = b"Upgrade: h2c"


@pytest.mark.program
@pytest.mark.parametrize("half", [1, 2])
def test_nothing_sent_over_a_socket_breaks_the_program(tmp_path: Path, half: int) -> None:
    """Bent events and bent HTTP get no 5xx, log no error, grow nothing; what got 204 counts."""
    books = fuzz(tmp_path, Plan(REQUESTS // 2, seconds=120, seed=half))
    assert books.sent >= REQUESTS // 2
    assert books.answered[204] > REQUESTS // 4
    assert books.answered[400] > REQUESTS // 50


def test_pieces_are_no_matter() -> None:
    """The same bytes at once and byte by byte get the same answers, and the same is counted."""
    sent, answered = uvloop.run(compare(streams=120, seed=16))
    assert sent == 120
    assert {204, 400, 401} <= set(answered)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_breaks_the_decoder(seed: int) -> None:
    """A call that is decoded from bent bytes is within its documented forms."""
    oracle = Oracle(look_every=64)
    mutator = Mutator(random.Random(seed))
    for good in seeds():
        oracle.check(good)
    for number in range(2000):
        bent = mutator.body(f"c-{number}") if number % 4 else mutator.query(f"c-{number}").encode()
        oracle.check(bent)
        oracle.check(mutator.flip(bent))
    oracle.look()
    assert oracle.calls > 2000


@pytest.mark.parametrize(
    "message",
    [
        "9" * 40,
        "2065550142" * 5,
        "call 206555014204e88489df024e34a0ee27a91849555f",
        "+12065550142_04e88489df024e34a0ee27a91849555f",
    ],
)
def test_a_number_is_masked_however_close_to_what_looks_like_an_id(message: str) -> None:
    """A number in an error message is masked although 32 digits or an id follow directly."""
    fields = Payload(event_type="disconnect", call_id="c-1", error_message=message)
    call = read_event(fields, 0).call
    assert call
    assert call.error_message
    assert "20655" not in call.error_message
    assert "99999" not in call.error_message


def offering(number: int) -> bytes:
    """An event whose client would rather speak HTTP/2."""
    return request(number, b"Connection: Upgrade, HTTP2-Settings\r\n" + OFFER + b"\r\n")


def request(number: int, headers: bytes = b"") -> bytes:
    """A request with an event of its own."""
    body = json.dumps({"eventType": "disconnect", "callId": f"c-{number}"}).encode()
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + headers + b"\r\n" + body


def answers(exporter: Exporter, pieces: list[bytes], requests: int) -> list[int]:
    """The answers to requests that are sent in pieces, each of which arrives on its own."""
    with dial(exporter.webhook_address) as sock:
        for piece in pieces:
            sock.sendall(piece)
            # The exporter reads the piece before it answers this request.
            assert exporter.webhook.request("GET", f"{WEBHOOK_PATH}/ready").status == 200
        read = Answers(sock)
        return [read.next() for _ in range(requests)]


def test_an_offer_of_http2_that_arrives_in_two_pieces_loses_no_event(
    exporter: StartExporter,
) -> None:
    """An event with an h2c offer gets 204 wherever its bytes are cut in two."""
    running = exporter()
    for number in range(len(OFFER) + 4):
        data = offering(number)
        cut = data.index(OFFER) - 3 + number
        assert answers(running, [data[:cut], data[cut:]], 1) == [204], data[:cut]


def test_an_offer_of_http2_behind_the_rest_of_another_event_loses_none(
    exporter: StartExporter,
) -> None:
    """An event with an h2c offer gets 204 where it arrives together with the end of another."""
    running = exporter()
    first = request(1)
    pieces = [first[:-5], first[-5:] + offering(2)]
    assert answers(running, pieces, 2) == [204, 204]


def test_who_hangs_up_before_the_answers_leaves_no_error(exporter: StartExporter) -> None:
    """Clients that send events and reset the connection at once are no errors in the log."""
    running = exporter()
    events = 0
    for _ in range(50):
        requests = [request(events + number) for number in range(16)]
        with dial(running.webhook_address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(b"".join(requests))
        events += len(requests)
    # A later event, on a connection of its own, is answered after all of them.
    assert running.send({"eventType": "disconnect", "callId": "c-last"}).status == 204
    assert '"level": "error"' not in running.process.output(), running.process.tail()
