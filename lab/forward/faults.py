"""Handlers that break in every way under 200 events a second, from a sender like Bandwidth."""

import argparse
import asyncio
import json
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    total,
)
from lab.abuse.slow import send
from testkit import handlers
from testkit.certificates import Authority
from testkit.handler import Handler, Request, Wire
from testkit.nginx import Nginx

RESULTS = Path(__file__).with_name("results")
_FAULTS = ("200", "killed", "hung", "slow-5s", "reset", "torn", "500", "rubbish", "endless", "301")
_BELOW = f"{WEBHOOK_PATH}/"  # what the nginx example passes on
_AGAIN_AFTER = 1.0  # seconds after which Bandwidth is taken to send again
_EXPECTED = {"200": "200", "500": "500", "301": "301", "slow-5s": "200", "killed": "200"}


@dataclass
class Sent:
    """What became of deliveries: by status, or none."""

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


async def flood(address: tuple[str, int], target: str, rate: int, seconds: float) -> Sent:
    """Send so many events a second, whatever became of those before."""
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


def main() -> None:
    """Break handlers one after the other, and look at the counts, memory and another path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of each fault")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--behind-nginx", action="store_true", help="the shipped example before it")
    parser.add_argument("--only", nargs="*", default=[*_FAULTS, "certificate"])
    options = parser.parse_args()
    # Ended as by Ctrl-C: what it has started goes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    way = "behind nginx" if options.behind_nginx else "direct"
    report = Report(
        f"faults-{way.replace(' ', '-')}",
        f"broken handlers, {options.rate} events a second, {way}",
        folder=RESULTS,
    )
    with TemporaryDirectory() as directory, Handler(application) as handler:
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
            for fault in options.only:
                _measure(report, running, entrance, handler, fault, options.rate, options.seconds)
    report.finish()


@contextmanager
def _entrance(running: Running, directory: Path, *, is_nginx: bool) -> Iterator[tuple[str, int]]:
    """Where the events go in: the exporter itself, or nginx before it, more patient than it is."""
    if not is_nginx:
        yield running.webhook
        return
    host, port = running.webhook
    with Nginx(
        directory / "nginx",
        [f"{host}:{port}"],
        Authority().issue(directory),
        is_encrypted=False,
        edit=lambda text: text.replace("proxy_read_timeout 5s", "proxy_read_timeout 12s"),
    ) as proxy:
        host, _, own = proxy.address.partition(":")
        yield host, int(own)


def _measure(  # noqa: PLR0913, PLR0917  # a fault's circumstances
    report: Report,
    running: Running,
    entrance: tuple[str, int],
    handler: Handler,
    fault: str,
    rate: int,
    seconds: float,
) -> None:
    target = f"{_BELOW}{'certificate' if fault == 'certificate' else f'to/{fault}'}"
    before, counted, seen = running.resident(), running.counted(), len(handler.requests)
    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(asyncio.run, flood(entrance, target, rate, seconds))
        probing = pool_of_one(running, seconds, handler if fault == "killed" else None)
        sent = flooding.result()
    arrived = {request.body for request in handler.requests[seen:]}
    grown = running.counted() - counted - len(probing)
    samples = running.metrics()
    expected = _EXPECTED.get(fault, "none")
    report.figure(
        f"{fault}: events, answers",
        f"{sent.events:,} {dict(sent.answers)}",
        f"all {expected}",
        is_met=set(sent.answers) == {expected},
    )
    report.figure(
        f"{fault}: counted", f"{grown:,}", f"{sent.events:,}", is_met=grown == sent.events
    )
    if fault != "certificate":
        report.figure(
            f"{fault}: distinct events at the handler",
            f"{len(arrived):,}",
            f"{sent.events:,}",
            is_met=len(arrived) == sent.events,
        )
    p99 = percentile(probing, 0.99) * 1000
    report.figure(f"{fault}: p99 at another path", f"{p99:.1f} ms", "< 100 ms", is_met=p99 < 100)
    memory = running.resident() - before
    report.figure(f"{fault}: growth of resident memory", f"{memory:.1f} MB")
    report.details[fault] = {
        reason: total(samples, "bandwidth_voice_exporter_forward_failures_total", reason=reason)
        for reason in ("connect", "tls", "timeout", "reset", "protocol", "overload")
    }
    handler.requests.clear()


def pool_of_one(running: Running, seconds: float, killed: Handler | None) -> list[float]:
    """Times of events at a path that is not passed on; meanwhile a handler dies, and comes back."""

    async def probe() -> list[float]:
        probing = asyncio.create_task(send(running, 20, seconds))
        if killed:
            await asyncio.sleep(seconds / 3)
            await asyncio.to_thread(killed.kill)
            await asyncio.sleep(seconds / 3)
            await asyncio.to_thread(killed.start)
        real = await probing
        assert set(real.answers) == {"204"}, real.answers
        return real.seconds

    return uvloop.run(probe())


if __name__ == "__main__":
    main()
