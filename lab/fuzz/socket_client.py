"""Fuzzing of the real program over a real socket: `python -m lab.fuzz.socket_client --help`.

It talks to a program that it started, on this machine alone.
"""

import argparse
import base64
import contextlib
import json
import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bandwidth_voice_exporter.voice.call import Event
from lab.fuzz import connection
from lab.fuzz.books import FLAGS, HONEST, Books, taken_from_body, taken_from_query
from lab.fuzz.mutations import CANARY, Mutator
from lab.fuzz.raw import READY, RawMutator
from testkit import calls, waiting
from testkit.exporter import WEBHOOK_PATH, Exporter

_BATCH = 16  # requests that are sent before an answer is read
_MOST_GROWTH = 150 * 1024**2  # bytes of resident memory, from a tenth of the way on
_MOST_LOG_LINES = 200
_AUTHORIZATION = b"Authorization: Basic " + base64.b64encode(b"fuzzer:a secret") + b"\r\n"
_ENVIRONMENT = {"WEBHOOK_USERNAME": "fuzzer", "WEBHOOK_PASSWORD": "a secret"}
_HEADERS = (
    *(b"", b"", b"", b"Content-Type: text/xml\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Expect: 100-continue\r\n", b"X-Forwarded-For: 1.2.3.4\r\n", b"Accept: \xff\r\n"),
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    *(b"upgrade: websocket\r\nconnection: upgrade\r\n", b"Keep-Alive: timeout=5\r\n"),
)
_HONEST_SHARE = 0.15
_GET_SHARE = 0.2
_CHUNKED_SHARE = 0.2
_PAUSE_SHARE = 0.05
_HALF_CLOSED_SHARE = 0.2


class Plan(NamedTuple):
    """How much to send, and for how long at most."""

    requests: int
    raw_share: float = 0.2  # of the requests: those whose HTTP is bent
    seconds: float = 600
    threads: int = 8
    seed: int = 1


class _Request(NamedTuple):
    data: bytes
    taken: Event | None
    honest: calls.Event | None


class Worker(threading.Thread):
    """A part of the plan, with dice and connections of its own."""

    def __init__(self, address: str, books: Books, plan: Plan, number: int) -> None:
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        self._address = address
        self._books = books
        self._plan = plan
        self._until = time.monotonic() + plan.seconds
        self._dice = random.Random(f"{plan.seed}/{number}")
        self._mutator = Mutator(self._dice)
        self._raw = RawMutator(self._dice, _AUTHORIZATION)
        self._number = number
        self._ids = 0

    def run(self) -> None:
        """Send it."""
        try:
            self._send_all()
        except Exception as failure:  # noqa: BLE001  # whoever started the thread raises it
            self.failure = failure

    def _send_all(self) -> None:
        left = self._plan.requests // self._plan.threads
        bent_at_once = round(_BATCH * self._plan.raw_share / (1 - self._plan.raw_share))
        with connection.dial(self._address) as sock:
            answers = connection.Answers(sock)
            while left > 0 and time.monotonic() < self._until:
                batch = [self._request() for _ in range(min(left, _BATCH))]
                self._exchange(sock, answers, batch)
                left -= len(batch)
                for _ in range(min(left, bent_at_once)):
                    self._bent()
                    left -= 1

    def _exchange(
        self, sock: socket.socket, answers: connection.Answers, batch: list[_Request]
    ) -> None:
        data = b"".join(request.data for request in batch)
        try:
            self._send(sock, data)
            for request in batch:
                status = answers.next()
                expected = 400 if request.taken is None else 204
                assert status == expected, f"{status} instead of {expected} to {request.data!r}"
                self._books.enter(status, request.taken, request.honest)
        except OSError as error:
            raise AssertionError(f"{error}: in answer to {data!r}") from error

    def _bent(self) -> None:
        """Send a request or two whose HTTP is bent, on a connection of their own."""
        requests = [
            # Too far from the others' ids for one to be bent into it.
            self._raw.message(f"bent-{self._next_id()}")
            for _ in range(self._dice.choice((1, 1, 1, 2)))
        ]
        with connection.dial(self._address) as sock:
            with contextlib.suppress(OSError):  # refused before all was sent
                self._send(sock, b"".join(requests) + READY)
                if self._dice.random() < _HALF_CLOSED_SHARE:
                    sock.shutdown(socket.SHUT_WR)
            self._books.enter_raw(len(requests), connection.whatever(sock))

    def _send(self, sock: socket.socket, data: bytes) -> None:
        pause = 0.001 if self._dice.random() < _PAUSE_SHARE else 0.0
        cuts = connection.some_cuts(self._dice, len(data), 12 if pause else 4)
        offer = data.lower().find(b"\r\nupgrade:")
        if pause and offer >= 0:
            cuts = sorted((*cuts, offer + self._dice.randrange(1, 11)))
        connection.send(sock, data, cuts, pause)

    def _request(self) -> _Request:
        head = b" HTTP/1.1\r\nHost: x\r\n" + _AUTHORIZATION + self._dice.choice(_HEADERS)
        roll = self._dice.random()
        if roll < _GET_SHARE:
            query = self._mutator.query(self._next_id())
            data = f"GET {WEBHOOK_PATH}?{query}".encode() + head + b"\r\n"
            return _Request(data, taken_from_query(query), None)
        honest = None
        if roll < _GET_SHARE + _HONEST_SHARE:
            honest = calls.ended_call(self._dice, applicationId=HONEST)
            body = json.dumps(honest).encode()
        else:
            body = self._mutator.body(self._next_id())
        data = b"POST " + WEBHOOK_PATH.encode() + head + self._framed(body)
        return _Request(data, taken_from_body(body), honest)

    def _framed(self, body: bytes) -> bytes:
        if self._dice.random() >= _CHUNKED_SHARE:
            return b"Content-Length: %d\r\n\r\n" % len(body) + body
        cuts = connection.some_cuts(self._dice, len(body), 5)
        pieces = [
            body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        ]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
        return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    def _next_id(self) -> str:
        self._ids += 1
        return f"c-{self._number:08x}-{self._ids:08x}-0000-4000-8000-{self._plan.seed:012x}"


def fuzz(directory: Path, plan: Plan) -> Books:
    """Fuzz a program started in a directory. Raises AssertionError where something is wrong."""
    books = Books()
    with Exporter(directory, *FLAGS, env=_ENVIRONMENT) as exporter:
        workers = [
            Worker(exporter.webhook_address, books, plan, number) for number in range(plan.threads)
        ]
        for worker in workers:
            worker.start()
        early = 0.0
        while any(worker.is_alive() for worker in workers):
            workers[0].join(1)
            time.sleep(0.1)
            memory = _memory(exporter)  # a scrape, too
            if not early and books.sent > plan.requests / 10:
                early = memory
            for worker in workers:
                if worker.failure:
                    raise worker.failure
        wrong: list[str] = []

        def is_settled() -> bool:
            wrong[:] = books.wrong(exporter.metrics())
            return not wrong

        try:
            waiting.until(is_settled, "books and metrics agree", 10)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {wrong}\n{exporter.process.tail()}") from None
        books.growth = _memory(exporter) - early if early else 0.0
        assert books.growth < _MOST_GROWTH, f"resident memory grew by {books.growth:,.0f} bytes"
        wrong += _wrong_log(exporter)
        assert not wrong, wrong
        assert exporter.stop() == 0
    return books


def _memory(exporter: Exporter) -> float:
    return exporter.metrics().get(("process_resident_memory_bytes", frozenset()), 0.0)


def _wrong_log(exporter: Exporter) -> Iterator[str]:
    log = exporter.process.output()
    if "Traceback" in log or '"at":' in log or '"level": "error"' in log:
        yield f"the log has an error: {exporter.process.tail()}"
    if CANARY in log:
        yield "a phone number in the log"
    if log.count("\n") > _MOST_LOG_LINES:
        yield f"{log.count(chr(10))} lines of log"


def main() -> None:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz the exporter over a socket.")
    parser.add_argument("--requests", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=600, help="give up after")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    plan = Plan(args.requests, seconds=args.seconds, threads=args.threads, seed=args.seed)
    print(f"seed {plan.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        books = fuzz(Path(directory), plan)
    seconds = time.monotonic() - began
    print(f"{books.sent:,} requests in {seconds:.0f} s, {books.sent / seconds:,.0f}/s")
    print(f"answers: {dict(sorted(books.answered.items()))}")
    print(f"resident memory: {books.growth / 1024**2:+.1f} MiB from a tenth of the way on")


if __name__ == "__main__":
    main()
