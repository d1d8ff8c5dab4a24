"""Ten thousand events of every model that the SDK has, to a handler and back."""

import argparse
import http.client
import json
import random
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from lab.abuse.exporter import Report, authorization, exporter, total
from testkit import bandwidth, handlers
from testkit.client import Answer, Client
from testkit.handler import Handler

RESULTS = Path(__file__).with_name("results")
_SILENT = ("disconnect", "transferDisconnect", "recordingAvailable", "transcriptionAvailable")
_THREADS = 8
_EXPECTING: tuple[dict[str, str], ...] = ({}, {"Expect": "100-continue"})


def deliveries(number: int) -> list[tuple[str, str, bytes]]:
    """So many requests of all types, some by GET: method, target, body."""
    dice = random.Random(number)
    made = []
    for at in range(number):
        event_type = list(bandwidth.MODELS)[at % len(bandwidth.MODELS)]
        event = bandwidth.event(event_type, dice)
        if dice.random() < 0.3:
            made.append(("GET", f"/voice/{event_type}?{urlencode(event)}", b""))
        else:
            made.append(("POST", f"/voice/{event_type}?n={at}", json.dumps(event).encode()))
    return made


def send(address: str, part: list[tuple[str, str, bytes]]) -> Counter[str]:
    """Send them on one connection; return what was wrong with answers."""
    wrong: Counter[str] = Counter()
    name, _, value = authorization().partition(": ")
    with closing(Client(address, timeout=60)) as client:
        for at, (method, target, body) in enumerate(part):
            coding = ("gzip", "identity")[at % 2]
            headers = {name: value, "Accept-Encoding": coding}
            if body and at % 5 == 0:
                answer = in_chunks(address, target, body, {**headers, **_EXPECTING[at % 2]})
            else:
                answer = client.request(method, target, body or None, headers)
            is_silent = target.split("?")[0].rpartition("/")[2] in _SILENT
            if answer.status != (204 if is_silent else 200):
                wrong[f"status {answer.status}"] += 1
            if not is_silent and answer.headers.get("Content-Encoding", "identity") != coding:
                wrong["coding"] += 1
            if not is_silent and coding == "identity" and b"<Hangup />" not in answer.body:
                wrong["body"] += 1
    return wrong


def in_chunks(address: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send a body in two chunks on a connection of its own, after a 100 where it is asked for."""
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.putrequest("POST", target)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if "Expect" in headers:
            wanted = b"HTTP/1.1 100 Continue\r\n\r\n"
            said = connection.sock.recv(len(wanted), socket.MSG_WAITALL)
            assert said == wanted, said
        for chunk in (body[:7], body[7:]):
            connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def main() -> None:
    """Send them, then compare what was sent, what arrived, and what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    options = parser.parse_args()
    # Ended as by Ctrl-C: what it has started goes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report("sdk", f"{options.events:,} events of the SDK's models", folder=RESULTS)
    sent = deliveries(options.events)
    with (
        Handler(handlers.application) as handler,
        exporter(f"--forward.route=/voice/={handler.url}") as running,
    ):
        address = "{}:{}".format(*running.webhook)
        parts = [sent[at::_THREADS] for at in range(_THREADS)]
        with ThreadPoolExecutor(_THREADS) as pool:
            wrong = sum(pool.map(lambda part: send(address, part), parts), Counter[str]())
        samples = running.metrics()
        arrived = Counter((one.method, one.target, one.body) for one in handler.requests)
    difference = (Counter(sent) - arrived).total() + (arrived - Counter(sent)).total()
    report.figure(
        "requests that did not arrive as they were sent",
        f"{difference}",
        "0",
        is_met=not difference,
    )
    report.figure("answers that came back otherwise", f"{dict(wrong)}", "{}", is_met=not wrong)
    expected = Counter(target.split("?")[0].rpartition("/")[2] for _, target, _ in sent)
    counted = {
        event_type: int(
            total(samples, "bandwidth_voice_exporter_events_total", event_type=event_type)
        )
        for event_type in expected
    }
    report.figure(
        "events counted by type",
        f"{sum(counted.values()):,}",
        f"{options.events:,}",
        is_met=counted == expected,
    )
    report.finish()


if __name__ == "__main__":
    main()
