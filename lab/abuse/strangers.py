"""Attacks by strangers, one after the other, while 200 real events a second come.

Each attack is tried without and with TLS, from another address than the events' own, or from the
same (`--same-address`), as where a balancer hides both. Every other event comes as Bandwidth's
guide says: first without credentials, then, after the challenge, with them. As Bandwidth does, a
sender tries once more where a connection breaks. Last come guesses of the ops listener's passwords.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import resource
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import uvloop

from lab.abuse.exporter import (
    PASSWORD,
    USER,
    WEBHOOK_PATH,
    Connection,
    Report,
    Running,
    authorization,
    ended_call,
    exporter,
    head,
    percentile,
    request,
    take_load_core,
)
from testkit.certificates import Authority

_SENDERS = 32
_TIMEOUT = 15.0  # seconds that Bandwidth waits for an answer
_POST = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\n".encode()
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_VISIT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_NOBODY = "Authorization: Basic eDp5"
_LIMIT = 600  # connections, where there are to be too few
_FULL = 4064  # connections, with those of the senders as many as there may be
_MB = 64  # of growth that an attack may cause
_MOST_MB = 256  # resident, where every connection holds all it may
_NICE = 10  # the attack takes what the senders leave of their core
_STRANGERS, _SENDERS_TOO = "127.0.0.2", "127.0.0.1"  # addresses that attacks come from
_GUESSES = 2500
_GUESS_SECONDS = 5.0

Address = tuple[str, int]


@dataclass(frozen=True)
class Attack:
    """So many clients that do the same, each again as soon as it is hung up on."""

    title: str
    clients: int
    act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    flags: tuple[str, ...] = ()
    growth: float = _MB


async def _pour(writer: asyncio.StreamWriter, opening: bytes, part: bytes) -> None:
    writer.write(opening)
    while True:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.0035)  # 4.5 MB/s


async def endless_trailer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A trailer whose value never ends."""
    del reader
    await _pour(writer, _CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 16_384)


async def tiny_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Trailers without end."""
    del reader
    await _pour(writer, _CHUNKED + b"2\r\n{}\r\n0\r\n", b"a:b\r\n" * 3276)


async def tiny_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head of headers of four bytes, and its end never."""
    writer.write(_POST + b"a:\r\n" * (79 * 256))
    await reader.read()


async def visits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A request for what is not there, again and again."""
    await asyncio.sleep(0.8 * random.random())
    while True:
        writer.write(_VISIT)
        if not await reader.read(65_536):
            return
        await asyncio.sleep(0.8)


async def unread_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refused requests, answers read late, and a body that never ends behind them."""
    writer.write(head(2, _NOBODY).replace(b"POST", b"HEAD").replace(b": 2", b": 0") * 5000)
    writer.write(_POST + b"Content-Length: 9\r\n\r\n1")
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            await writer.drain()
    await reader.read()


async def come_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tiny chunks, and the next connection as soon as the challenge is there."""
    writer.write(_CHUNKED + b"1\r\nx\r\n" * 10_000)
    await reader.read(1)


async def pipelines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As many requests at once as are taken."""
    reading = asyncio.ensure_future(reader.read())
    with suppress(OSError):
        while not reading.done():
            writer.write(_VISIT * 2000)
            await writer.drain()
    await reading


async def open_heads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head that is as long as it may be, and no end of it."""
    writer.write(_POST + b"X: " + b"x" * (79 << 10))
    await reader.read()


ATTACKS = {
    "endless-trailer": Attack("a trailer that never ends", 1, endless_trailer),
    "tiny-trailers": Attack("trailers of five bytes", 1, tiny_trailers),
    "tiny-headers": Attack("heads of headers of four bytes", 150, tiny_headers),
    "visits": Attack(
        f"visits, {_LIMIT} connections allowed",
        620,
        visits,
        (f"--webhook.max-connections={_LIMIT}",),
    ),
    "unread-answers": Attack("answers read late, then an open body", 50, unread_answers),
    "come-back": Attack("tiny chunks, connecting anew for each answer", 32, come_back),
    "pipelines": Attack("requests without waiting for answers", 32, pipelines),
    "open-heads": Attack(
        f"{_FULL:,} connections that hold all they may", _FULL, open_heads, growth=_MOST_MB
    ),
}


def attack(
    address: Address, name: str, seconds: float, authority: str | None, host: str = _STRANGERS
) -> int:
    """Let the clients of an attack act for so long; return how often they connected."""
    os.nice(_NICE)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return uvloop.run(act(address, ATTACKS[name], seconds, authority, host))


async def act(
    address: Address,
    one: Attack,
    seconds: float,
    authority: str | None = None,
    host: str = _STRANGERS,
) -> int:
    """Let the clients of an attack act for so long; return how often they connected."""
    connections = Counter[str]()
    tls = _trusting(authority)

    async def client() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    *address, ssl=tls, local_addr=(host, 0)
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            connections["all"] += 1
            try:
                await one.act(reader, writer)
            except OSError:
                pass
            finally:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()

    clients = [asyncio.ensure_future(client()) for _ in range(one.clients)]
    await asyncio.sleep(seconds)
    for each in clients:
        each.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return connections["all"]


def _trusting(authority: str | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cadata=authority) if authority else None


@dataclass
class Real:
    """How many of the real events were answered, and how soon."""

    seconds: list[float] = field(default_factory=list)
    # Of the exporter's event loop, while each was on its way: what else the machine does is not in
    # it, and so it can be compared where that is much.
    loop_seconds: list[float] = field(default_factory=list)
    clock: Callable[[], float] = lambda: 0.0
    lost: int = 0
    repeated: int = 0


class Sender:
    """One connection of Bandwidth's at a time, opened again where it was closed."""

    def __init__(
        self, address: Address, tls: ssl.SSLContext | None, real: Real, *, asks_first: bool
    ) -> None:
        self._address = address
        self._tls = tls
        self._real = real
        self._asks_first = asks_first
        self._dice = random.Random()
        self._connection: Connection | None = None

    async def send_all(self, due: asyncio.Queue[float | None]) -> None:
        """Send an event whenever one is due."""
        while (moment := await due.get()) is not None:
            event = ended_call(self._dice)
            began = self._real.clock()
            if not (await self._sends(event) or await self._sends(event, again=True)):
                self._real.lost += 1
            self._real.seconds.append(time.monotonic() - moment)
            self._real.loop_seconds.append(self._real.clock() - began)
        if self._connection:
            self._connection.close()

    async def _sends(self, event: dict[str, object], *, again: bool = False) -> bool:
        self._real.repeated += again
        try:
            async with asyncio.timeout(_TIMEOUT):
                if self._asks_first:
                    body = json.dumps(event).encode()
                    question = head(len(body), "X-First: 1") + body
                    assert await self._deliver(question) == 401
                return await self._deliver(request(event)) == 204
        except (OSError, TimeoutError):
            if self._connection:
                self._connection.close()
            return False

    async def _deliver(self, delivery: bytes) -> int:
        if self._connection is None or not self._connection.is_open:
            self._connection = await Connection.to(self._address, self._tls)
        return await self._connection.deliver(delivery)


async def send(
    address: Address,
    rate: int,
    seconds: float,
    authority: str | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Real:
    """Make an event due so many times a second, whatever became of those before."""
    real, tls = Real(clock=clock), _trusting(authority)
    due: asyncio.Queue[float | None] = asyncio.Queue()
    senders = [
        asyncio.create_task(Sender(address, tls, real, asks_first=bool(n % 2)).send_all(due))
        for n in range(_SENDERS)
    ]
    moment = time.monotonic()
    until = moment + seconds
    while moment < until:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        due.put_nowait(moment)
        moment += 1 / rate
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    return real


class Peak(threading.Thread):
    """Looks at the resident memory all the time."""

    def __init__(self, running: Running) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._is_over = threading.Event()
        self.before = self.most = running.resident()

    def run(self) -> None:
        """Look."""
        while not self._is_over.wait(0.02):
            self.most = max(self.most, self._running.resident())

    def grown(self) -> float:
        """Stop looking; return the growth in MB."""
        self._is_over.set()
        self.join()
        return self.most - self.before


@dataclass
class Measured:
    """The outcome of an attack: real events in a second before it and during it, memory in MB."""

    calm: Real
    real: Real
    grown: float
    most: float
    connections: int


def measure(
    name: str, rate: int, seconds: float, *, has_tls: bool, host: str = _STRANGERS
) -> Measured:
    """Attack an exporter of its own."""
    with (
        _certificates(has_tls=has_tls) as (authority, flags),
        exporter(*ATTACKS[name].flags, *flags) as running,
    ):
        calm = uvloop.run(send(running.webhook, rate, 1, authority))
        peak = Peak(running)
        peak.start()
        with ProcessPoolExecutor(1) as processes:
            attacking = processes.submit(attack, running.webhook, name, seconds, authority, host)
            real = uvloop.run(send(running.webhook, rate, seconds, authority, running.loop_seconds))
            connections = attacking.result()
        return Measured(calm, real, peak.grown(), peak.most, connections)


@contextlib.contextmanager
def _certificates(*, has_tls: bool) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """An authority, and the flags of an exporter with a certificate of it."""
    if not has_tls:
        yield None, ()
        return
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority()
        pair = authority.issue(Path(directory))
        config = Path(directory) / "webhook.yml"
        config.write_text(
            f"tls_server_config: {{cert_file: {pair.cert_file}, key_file: {pair.key_file}}}\n"
        )
        yield authority.pem.decode(), (f"--webhook.config.file={config}",)


def report_attack(  # noqa: PLR0913  # what is measured and how, each by name
    report: Report, name: str, rate: int, seconds: float, *, has_tls: bool, host: str
) -> None:
    """Measure an attack and add its figures."""
    found = measure(name, rate, seconds, has_tls=has_tls, host=host)
    one, real = ATTACKS[name], found.real
    title = f"{one.title}{', TLS' * has_tls}"
    p99 = percentile(real.seconds, 0.99) * 1000
    lost = f"{real.lost} of {len(real.seconds):,}"
    report.figure(f"{title}: events lost", lost, "0", is_met=real.lost == 0)
    report.figure(f"{title}: p99", f"{p99:.1f} ms", "< 100 ms", is_met=p99 < 100)
    if one.growth == _MB:
        grown = f"{found.grown:.1f} MB"
        report.figure(f"{title}: growth of memory", grown, "< 64 MB", is_met=found.grown < _MB)
    else:
        most = f"{found.most:.0f} MB"
        report.figure(f"{title}: resident", most, "< 256 MB", is_met=found.most < _MOST_MB)
    report.details[f"{name}{'-tls' * has_tls}"] = {
        "connections": found.connections,
        "repeated": real.repeated,
        "p50_ms": percentile(real.seconds, 0.5) * 1000,
        "max_ms": max(real.seconds) * 1000,
        "loop_p99_ms": percentile(real.loop_seconds, 0.99) * 1000,
        "loop_max_ms": max(real.loop_seconds) * 1000,
        "calm_p99_ms": percentile(found.calm.seconds, 0.99) * 1000,
    }


def report_guesses(report: Report) -> None:
    """How long the first right scrape takes after guesses by clients that hang up."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "web.yml"
        stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        config.write_text(f"basic_auth_users: {{{USER}: {stored}}}\n")
        with exporter(f"--web.config.file={config}") as running:
            host, _, port = running.ops.rpartition(":")
            for number in range(_GUESSES):
                with socket.create_connection((host, int(port))) as client:
                    line = authorization(USER, f"guess {number}")
                    client.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
            began = time.monotonic()
            scrape = http.client.HTTPConnection(host, int(port), 60, ("127.0.0.2", 0))
            _, _, value = authorization().partition(": ")
            scrape.request("GET", "/metrics", headers={"Authorization": value})
            status = scrape.getresponse().status
            took = time.monotonic() - began
            scrape.close()
    report.figure(
        f"first right scrape after {_GUESSES:,} guesses, bcrypt of cost 10",
        f"{took:.2f} s",
        "< 5 s",
        is_met=status == 200 and took < _GUESS_SECONDS,
    )


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="that each attack takes")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--only", choices=(*ATTACKS, "guesses"))
    parser.add_argument("--tls", choices=("with", "without"), help="not both")
    parser.add_argument(
        "--same-address", action="store_true", help="strangers come from where the events do"
    )
    options = parser.parse_args()
    take_load_core()
    host = _SENDERS_TOO if options.same_address else _STRANGERS
    report = Report("strangers", f"strangers' attacks, {options.seconds:g} s each")
    for name in [options.only] if options.only else [*ATTACKS, "guesses"]:
        if name == "guesses":
            report_guesses(report)
            continue
        if options.tls != "with":
            report_attack(report, name, options.rate, options.seconds, has_tls=False, host=host)
        if options.tls != "without":
            report_attack(report, name, options.rate, options.seconds, has_tls=True, host=host)
    report.finish()


if __name__ == "__main__":
    main()
