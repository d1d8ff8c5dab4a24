"""Handlers that break in every way under 200 events a second, from a sender like Bandwidth."""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from lab.abuse.exporter import (
    WEBHOOK_PATH,
    Report,
    Running,
    authorization,
    ended_call,
    exporter,
    percentile,
    take_load_core,
    total,
)
from lab.abuse.slow import send
from testkit import handlers
from testkit.certificates import Authority
from testkit.handler import Handler, Request, Wire
from testkit.nginx import Nginx, before_a_handler

RESULTS = Path(__file__).with_name("results")
_FAULTS = ("200", "killed", "hung", "slow-5s", "reset", "torn", "500", "rubbish", "endless", "301")
_BELOW = f"{WEBHOOK_PATH}/"  # what the nginx example passes on
_PROBES = 50  # a second
_BEHIND = 5  # how much nicer the load is than what keeps time
_AGAIN_AFTER = 1.0  # seconds after which Bandwidth is taken to send again
_EXPECTED = {"200": "200", "500": "500", "301": "301", "slow-5s": "200", "killed": "200"}


@dataclass
class Sent:
    """The fate of deliveries: by status, or none."""

    events: int = 0
    answers: Counter[str] = field(default_factory=Counter)


async def application(request: Request, wire: Wire) -> None:
    """The testkit's handlers, and one that takes five seconds."""
    if request.target.endswith("slow-5s"):
        await asyncio.sleep(5)
        await wire.answer(200, b"<Response/>")
    elif request.target.endswith("killed"):
        await wire.answer(200, b"<Response/>")
    else:
        await handlers.application(request, wire)


async def deliver(address: tuple[str, int], target: str, body: bytes) -> str:
    """Send an event, and once more where it had no answer; the status, or none."""
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\n{authorization()}\r\nConnection: close\r\n"
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for _ in range(2):
        try:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
        except OSError:
            answer = b""
        if _is_whole(answer):
            return answer[9:12].decode()
        await asyncio.sleep(_AGAIN_AFTER)
    return "none"


def _is_whole(answer: bytes) -> bool:
    """Whether an answer has come to its end, as its head tells it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(head) and len(body) == (int(length[1]) if length else 0)


def flood(address: tuple[str, int], target: str, rate: int, seconds: float) -> Sent:
    """Send so many events a second, whatever became of those before."""
    return uvloop.run(_flood(address, target, rate, seconds))


async def _flood(address: tuple[str, int], target: str, rate: int, seconds: float) -> Sent:
    dice = random.Random(target)
    sent = Sent()
    loop = asyncio.get_running_loop()
    due, until = loop.time(), loop.time() + seconds
    async with asyncio.TaskGroup() as group:
        tasks = []
        while due < until:
            await asyncio.sleep(max(0.0, due - loop.time()))
            body = json.dumps(ended_call(dice)).encode()
            tasks.append(group.create_task(deliver(address, target, body)))
            due += 1 / rate
    sent.events = len(tasks)
    sent.answers = Counter(task.result() for task in tasks)
    return sent


def probe(running: Running, seconds: float) -> list[float]:
    """Seconds that events took at a path that is not passed on, from when each was due."""
    real = uvloop.run(send(running, _PROBES, seconds))
    assert set(real.answers) == {"204"}, real.answers
    return real.seconds


@dataclass
class Bench:
    """An exporter before handlers, a sender and a prober, each a process of its own."""

    running: Running
    entrance: tuple[str, int]
    handler: Handler
    senders: ProcessPoolExecutor
    probers: ProcessPoolExecutor
    rate: int
    seconds: float

    def measure(self, fault: str, report: Report) -> None:
        """Break a handler, and look at the counts, memory and another path."""
        running = self.running
        below = "certificate" if fault == "certificate" else f"to/{fault}"
        counted, used = running.counted(), running.processor_seconds()
        before = _peak(running, anew=True)
        flooding = self.senders.submit(
            flood, self.entrance, f"{_BELOW}{below}", self.rate, self.seconds
        )
        probing = self.probers.submit(probe, running, self.seconds)
        if fault == "killed":
            time.sleep(self.seconds / 3)
            self.handler.kill()
            time.sleep(self.seconds / 3)
            self.handler.start()
        sent, times = flooding.result(), probing.result()
        used = running.processor_seconds() - used
        arrived = {request.body for request in self.handler.requests}
        self.handler.requests.clear()
        expected = _EXPECTED.get(fault, "none")
        grown = running.counted() - counted - len(times)
        p99 = percentile(times, 0.99) * 1000
        for what, measured, limit, is_met in (
            (
                "events, answers",
                f"{sent.events:,} {dict(sent.answers)}",
                f"all {expected}",
                set(sent.answers) == {expected},
            ),
            ("counted", f"{grown:,}", f"{sent.events:,}", grown == sent.events),
            (
                "distinct events at the handler",
                f"{len(arrived):,}",
                "0" if fault == "certificate" else f"{sent.events:,}",
                len(arrived) == (0 if fault == "certificate" else sent.events),
            ),
            ("p99 at another path", f"{p99:.1f} ms", "< 100 ms", p99 < 100),
            ("most resident memory added", f"{_peak(running) - before:.1f} MB", "", True),
            ("processor time", f"{used / sent.events * 1000:.2f} ms an event", "", True),
        ):
            report.figure(f"{fault}: {what}", measured, limit, is_met=is_met)
        samples = running.metrics()
        report.details[fault] = {
            reason: total(samples, "bandwidth_voice_exporter_forward_failures_total", reason=reason)
            for reason in ("connect", "tls", "timeout", "reset", "protocol", "overload")
        }


def _peak(running: Running, *, anew: bool = False) -> float:
    """Return the most resident memory in MB; with ``anew``, from now on."""
    process = Path(f"/proc/{running.pid}")
    if anew:
        process.joinpath("clear_refs").write_text("5")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", process.joinpath("status").read_text())[0]) / 1e3


def main() -> None:
    """Break handlers one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each fault")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--behind-nginx", action="store_true", help="the shipped example before it")
    parser.add_argument("--only", nargs="*", default=[*_FAULTS, "certificate"])
    options = parser.parse_args()
    # Ended as by Ctrl-C: what it has started goes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    take_load_core()  # of handlers, senders and nginx: the exporter has its own
    way = "behind nginx" if options.behind_nginx else "direct"
    report = Report(
        f"faults-{way.replace(' ', '-')}",
        f"broken handlers, {options.rate} events a second, {way}",
        folder=RESULTS,
    )
    spawned = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, spawned, os.nice, (_BEHIND,)) as senders,
        ProcessPoolExecutor(1, spawned) as probers,
        TemporaryDirectory() as directory,
        Handler(application) as handler,
    ):
        tls = Authority().serving(Path(directory))
        with (
            Handler(application, tls=tls) as strange,
            exporter(
                f"--forward.route={_BELOW}to/={handler.url}",
                f"--forward.route={_BELOW}certificate={strange.url}",
                "--forward.timeout=8s",
            ) as running,
            _entrance(running, Path(directory), is_nginx=options.behind_nginx) as entrance,
        ):
            os.nice(_BEHIND)  # after the exporter has started
            bench = Bench(
                running, entrance, handler, senders, probers, options.rate, options.seconds
            )
            for fault in options.only:
                bench.measure(fault, report)
    report.finish()


@contextmanager
def _entrance(running: Running, directory: Path, *, is_nginx: bool) -> Iterator[tuple[str, int]]:
    """The events' entrance: the exporter itself, or nginx before it, more patient than it is."""
    if not is_nginx:
        yield running.webhook
        return
    host, port = running.webhook
    with Nginx(
        directory / "nginx",
        [f"{host}:{port}"],
        Authority().issue(directory),
        is_encrypted=False,
        edit=before_a_handler,
    ) as proxy:
        host, _, own = proxy.address.partition(":")
        yield host, int(own)


if __name__ == "__main__":
    main()
