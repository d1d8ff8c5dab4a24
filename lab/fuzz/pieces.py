"""The same bytes at once and byte by byte: the same answers, and the same is counted.

`python -m lab fuzz-pieces` sends streams of bent requests, with right ones between them, to
connections of two listeners that have real applications and no socket: to one as a whole, to the
other in pieces. Each core has streams of its own: 100,000 take about five minutes on two.
"""

import argparse
import asyncio
import base64
import logging
import os
import random
import re
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import uvloop
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Clients, Terms
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.ledger.memory import MemoryLedger
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import COUNTERS, Instruments, Limits, Tally
from bandwidth_voice_exporter.voice import now
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms
from bandwidth_voice_exporter.webhook import Credentials, Intake, Webhook, application
from lab.fuzz.raw import RawMutator
from testkit.exporter import WEBHOOK_PATH

_PAIR = "fuzzer:a secret"
_AUTHORIZATION = b"Authorization: Basic " + base64.b64encode(_PAIR.encode()) + b"\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_AT_ONCE = 50  # streams: some wait for their turn
_FED_A_TURN = 5  # pieces, of all streams: what is between two of one differs
_SETTLED = 12  # turns of the event loop in which nothing happens any more
_LONGEST_WHOLE = 2000  # bytes of a stream that comes byte by byte; longer ones come in some pieces


class Stream(NamedTuple):
    """The bytes of one connection, and whether its client then closes its half."""

    data: bytes
    is_half_closed: bool


class Outcome(NamedTuple):
    """The statuses of all answers, and whether the connection was closed."""

    statuses: tuple[int, ...]
    is_closed: bool


class _Client(asyncio.Transport):
    """Takes the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.written = b""
        self.is_closed = False
        self.is_paused = False

    def write(self, data: Any) -> None:
        if not self.is_closed:
            self.written += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        if not self.is_closed and self.connection:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close


class Listener:
    """A listener's application and room, without its socket."""

    def __init__(self) -> None:
        log = Log(__name__)
        logging.getLogger(__name__).disabled = True  # it says who is refused
        self._counted = Instruments()
        tally = Tally(Limits(), now())
        webhook = Webhook(
            intake=Intake(MemoryLedger(tally.fold, tally), Pseudonyms(b"key")),
            instruments=self._counted,
            credentials=Credentials((_PAIR,), None, log, on_load=lambda _: None),
            max_body_bytes=64 * 1024,
            proxies=(),
            clients=Clients(()),
            log=log,
        )
        app = application(WEBHOOK_PATH, webhook, self._counted, lambda: True)
        terms = Terms(10_000, 1, self._counted.refused, is_eager=True)
        self._state = ServerState()
        self._fed = 0
        self._room = Room(app, terms, self._state, log)

    async def take(self, stream: Stream, cuts: list[int]) -> Outcome:
        """Take a stream in pieces; what happened then."""
        client = _Client()
        connection = client.connection = Connection(self._room)
        connection.connection_made(client)
        for start, end in zip([0, *cuts], [*cuts, len(stream.data)], strict=True):
            await self._feed(client, stream.data[start:end])
        await self._settle(client)
        is_closed = client.is_closed
        if stream.is_half_closed and not is_closed and not connection.eof_received():
            client.close()
        await self._settle(client)
        client.close()
        await asyncio.sleep(0)
        statuses = tuple(int(status) for status in _STATUS.findall(client.written))
        return Outcome(statuses, is_closed)

    def counts(self) -> Counter[tuple[str, tuple[str, ...]]]:
        """Return the counts until now, however long any of it took."""
        counts = self._counted.counts()
        return Counter(
            {
                (metric.name, labels): int(value)
                for metric in COUNTERS
                for labels, value, _ in counts[metric.name]
            }
        )

    async def _feed(self, client: _Client, piece: bytes) -> None:
        connection = client.connection
        while piece and not client.is_closed and connection:
            if client.is_paused:
                await asyncio.sleep(0.0005)
                continue
            buffer = connection.get_buffer(-1)
            size = min(len(buffer), len(piece))
            buffer[:size] = piece[:size]
            connection.buffer_updated(size)
            piece = piece[size:]
            self._fed += 1
            if self._fed % _FED_A_TURN == 0:
                await asyncio.sleep(0)

    async def _settle(self, client: _Client) -> None:
        quiet, written = 0, -1
        while quiet < _SETTLED and not client.is_closed:
            is_quiet = written == len(client.written) and not client.is_paused
            quiet = quiet + 1 if is_quiet else 0
            written = len(client.written)
            await asyncio.sleep(0.0005 if client.is_paused else 0)


class _Streams:
    """Makes streams; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._mutators = (
            RawMutator(self._dice, _AUTHORIZATION),
            RawMutator(self._dice, _AUTHORIZATION),
            RawMutator(self._dice, b""),
        )
        self._seed = seed
        self._made = 0

    def next(self) -> Stream:
        parts = []
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            self._made += 1
            mutator = self._dice.choice(self._mutators)
            call_id = f"c-{self._seed:x}-{self._made}"
            is_right = self._dice.random() < 0.3
            parts.append(mutator.right(call_id) if is_right else mutator.message(call_id))
        return Stream(b"".join(parts), self._dice.random() < 0.3)

    def cuts(self, length: int) -> list[int]:
        """Choose where a stream is cut: everywhere, or in some places where it is long."""
        if length <= _LONGEST_WHOLE:
            return list(range(1, length))
        return sorted(self._dice.randrange(1, length) for _ in range(20))


async def compare(streams: int, seed: int, seconds: float = 1e9) -> tuple[int, Counter[int]]:
    """Send streams both ways; return how many, and their answers' statuses.

    Raises AssertionError where the ways differ.
    """
    source = _Streams(seed)
    whole, pieces = Listener(), Listener()
    answered: Counter[int] = Counter()
    until = time.monotonic() + seconds
    sent = 0
    while sent < streams and time.monotonic() < until:
        batch = [source.next() for _ in range(min(_AT_ONCE, streams - sent))]
        cuts = [source.cuts(len(stream.data)) for stream in batch]
        at_once = await asyncio.gather(*(whole.take(stream, []) for stream in batch))
        cut = await asyncio.gather(*map(pieces.take, batch, cuts))
        for stream, one, other in zip(batch, at_once, cut, strict=True):
            assert one == other, f"{one} at once, {other} in pieces: {stream!r:.2000}"
            answered.update(one.statuses)
        differing = whole.counts() - pieces.counts(), pieces.counts() - whole.counts()
        place = f"streams {sent} to {sent + len(batch)} of seed {seed}"
        assert not any(differing), f"{place}: counted at once, in pieces: {differing}"
        sent += len(batch)
    return sent, answered


def _compare(streams: int, seed: int, seconds: float) -> tuple[int, Counter[int]]:
    return uvloop.run(compare(streams, seed, seconds))


def main() -> None:
    """Compare as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600, help="give up after")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    seeds = range(args.seed, args.seed + args.processes)
    print(f"seeds {seeds.start} to {seeds.stop - 1}", flush=True)
    began = time.monotonic()
    each = -(-args.streams // len(seeds))
    with ProcessPoolExecutor(len(seeds)) as processes:
        asked = [processes.submit(_compare, each, seed, args.seconds) for seed in seeds]
        compared = [one.result() for one in asked]
    sent = sum(number for number, _ in compared)
    answered = sum((answers for _, answers in compared), Counter[int]())
    print(f"{sent:,} streams both ways, no difference, in {time.monotonic() - began:.0f} s")
    print(f"answers: {dict(sorted(answered.items()))}")
    if sent < args.streams:
        sys.exit(f"not all of {args.streams:,} in {args.seconds:g} s")


if __name__ == "__main__":
    main()
