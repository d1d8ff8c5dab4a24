"""Events at fixed times, answered or not: latency counts from when an event was due.

A program of its own, so that nothing else runs in the loop that keeps the schedule; scrapes go out
from the same loop, or another process would take the core away from it. Prints JSON.
"""

import argparse
import asyncio
import json
import math
import os
import re
import time
import uuid
from collections import deque
from pathlib import Path

import uvloop

from lab.speed.events import AUTHORIZATION, CALL_ID, ERROR_ID, PATH
from lab.speed.scraper import ACCEPT

_HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: BandwidthAPI\r\n"
    f"Content-Type: application/json; charset=utf-8\r\nAuthorization: {AUTHORIZATION}\r\n"
)
_SCRAPE = (
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Prometheus/3.0\r\n"
    f"Accept: {ACCEPT}\r\nAccept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
).encode()
_PATIENCE_SECONDS = 30


class Schedule:
    """A plan: when each event is due, who may send it, and how long it took."""

    def __init__(self, bodies: list[str], rate: float, events: int) -> None:
        self.free: deque[Connection] = deque()
        self.late: list[float] = []
        self.latencies: list[float] = []
        self.failed = 0
        self._bodies = bodies
        self._rate = rate
        self._events = events

    async def run(self, scrape: "Scrape | None") -> None:
        """Send everything, then wait for the last answer."""
        began = time.monotonic() + 0.1
        for number in range(self._events):
            due = began + number / self._rate
            # Round and round: timers are a millisecond late, and this core is ours.
            while not self.free or time.monotonic() < due:  # noqa: ASYNC110  # as just said
                await asyncio.sleep(0)
            if scrape:
                scrape.tick()
            self.late.append(time.monotonic() - due)
            self.free.popleft().send(self._request(number), due)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(self.latencies) < self._events and time.monotonic() < deadline:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)

    def _request(self, number: int) -> bytes:
        body = self._bodies[number % len(self._bodies)]
        body = body.replace(CALL_ID, f"c-{os.getpid():08x}-{uuid.UUID(bytes=os.urandom(16))}")
        encoded = body.replace(ERROR_ID, str(uuid.UUID(bytes=os.urandom(16)))).encode()
        return f"{_HEAD}Content-Length: {len(encoded)}\r\n\r\n".encode() + encoded


class Connection(asyncio.Protocol):
    """One that carries one event at a time."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._due = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Be free."""
        self._transport = transport
        self._schedule.free.append(self)

    def send(self, request: bytes, due: float) -> None:
        """Send an event that was due at a time."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer: a head without a body."""
        self._received += data
        if b"\r\n\r\n" not in self._received:
            return
        self._schedule.latencies.append(time.monotonic() - self._due)
        self._schedule.failed += not self._received.startswith(b"HTTP/1.1 204 ")
        self._received = b""
        self._schedule.free.append(self)


class Scrape(asyncio.Protocol):
    """A connection that scrapes every second; ``seconds`` has how long each scrape took."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._next = time.monotonic()
        self._began = 0.0
        self._received = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Be ready."""
        self._transport = transport

    def tick(self) -> None:
        """Scrape, if it is time and the last one is over."""
        now = time.monotonic()
        if now >= self._next and not self._began:
            self._next = now + 1
            self._began = now
            self._transport.write(_SCRAPE)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) >= int(length[1]):
            assert head.startswith(b"HTTP/1.1 200 "), head
            self.seconds.append(time.monotonic() - self._began)
            self._began = 0.0
            self._received.clear()


async def main() -> None:
    """Send, then say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--scrape", help="address of /metrics")
    options = parser.parse_args()
    events = math.ceil(options.rate * options.seconds)
    schedule = Schedule(options.bodies.read_text().splitlines(), options.rate, events)
    connect = asyncio.get_running_loop().create_connection
    host, _, port = options.address.rpartition(":")
    for _ in range(options.connections):
        await connect(lambda: Connection(schedule), host, int(port))
    scrape = None
    if options.scrape:
        host, _, port = options.scrape.rpartition(":")
        _, scrape = await connect(Scrape, host, int(port))
    await schedule.run(scrape)
    print(
        json.dumps(
            {
                "sent": events,
                "answered": len(schedule.latencies),
                "failed": schedule.failed,
                "scrapes": len(scrape.seconds) if scrape else 0,
                **_percentiles("ms", schedule.latencies),
                **_percentiles("late_ms", schedule.late),
            }
        )
    )


def _percentiles(unit: str, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        f"p{share:g}_{unit}": ordered[math.ceil(len(ordered) * share / 100) - 1] * 1000
        for share in (50, 99, 99.9, 100)
    }


if __name__ == "__main__":
    uvloop.run(main())
