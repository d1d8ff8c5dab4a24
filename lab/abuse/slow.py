"""Two thousand connections that send a byte now and then, while real events come."""

import argparse
import asyncio
import math
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import uvloop

from bandwidth_voice_exporter.http import Bounds
from lab.abuse.exporter import (
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
    total,
)

LIMITS = Bounds()
_SWEEP = 1.0  # seconds by which a deadline may be missed: it is looked at now and then
_PAUSE = 3.0  # seconds between two bytes, about
_WORKERS = 64  # keep-alive connections of the one who sends real events


@dataclass
class Slow:
    """The fate of the slow connections."""

    lives: dict[str, list[float]] = field(default_factory=lambda: {"head": [], "body": []})
    alive: int = 0
    most_alive: int = 0
    refused: int = 0


@dataclass
class Real:
    """The fate of the real events."""

    seconds: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


async def dawdle(running: Running, kind: str, until: float, slow: Slow) -> None:
    """Hold one connection as long as it lasts, then another, to the end."""
    dice = random.Random()
    opening = b"POST " if kind == "head" else head(60_000, authorization())
    loop = asyncio.get_running_loop()
    await asyncio.sleep(dice.random() * _PAUSE)
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(*running.webhook)
        except OSError:
            slow.refused += 1
            await asyncio.sleep(0.1)
            continue
        began = time.monotonic()
        slow.alive += 1
        slow.most_alive = max(slow.most_alive, slow.alive)
        writer.write(opening)
        end = loop.create_task(reader.read())
        while time.monotonic() < until:
            done, _ = await asyncio.wait({end}, timeout=_PAUSE * (0.5 + dice.random()))
            if done:
                break
            writer.write(b"x")
        slow.alive -= 1
        if end.done():
            slow.lives[kind].append(time.monotonic() - began)
        end.cancel()
        await asyncio.gather(end, return_exceptions=True)
        writer.transport.abort()


async def work(running: Running, due: asyncio.Queue[float | None], real: Real) -> None:
    """Deliver events when they are due, over one keep-alive connection."""
    dice = random.Random()
    connection = await Connection.to(running.webhook)
    while (moment := await due.get()) is not None:
        try:
            if not connection.is_open:
                connection = await Connection.to(running.webhook)
            status = await connection.deliver(request(ended_call(dice)))
            real.answers[str(status)] += 1
        except OSError as error:
            real.answers[type(error).__name__] += 1
        real.seconds.append(time.monotonic() - moment)
    connection.close()


async def send(running: Running, rate: int, seconds: float) -> Real:
    """Make an event due so many times a second, whatever became of those before."""
    real = Real()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    workers = [asyncio.create_task(work(running, due, real)) for _ in range(_WORKERS)]
    moment = time.monotonic()
    until = moment + seconds
    while moment < until:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        due.put_nowait(moment)
        moment += 1 / rate
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    return real


def hold(running: Running, connections: int, seconds: float) -> Slow:
    """Hold so many slow connections; for a process of its own, beside the one that keeps time."""
    slow = Slow()

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        kinds = ("head", "body")
        await asyncio.gather(
            *(dawdle(running, kinds[one % 2], until, slow) for one in range(connections))
        )

    uvloop.run(all_of_them())
    return slow


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=int, default=500)
    options = parser.parse_args()
    take_load_core()
    report = Report("slow", f"{options.connections:,} slow connections, {options.seconds:g} s")
    with exporter() as running:
        calm = uvloop.run(send(running, options.rate, 15))
        before, warm = running.resident(), running.counted()
        with ProcessPoolExecutor(1) as processes:
            held = processes.submit(hold, running, options.connections, options.seconds)
            real = uvloop.run(send(running, options.rate, options.seconds))
            slow = held.result()
        grown = running.resident() - before
        counted = running.counted() - warm
        samples = running.metrics()
    sent = len(real.seconds)
    failed = sent - real.answers["204"]
    p99 = percentile(real.seconds, 0.99) * 1000
    report.figure("real events sent", f"{sent:,} ({sent / options.seconds:.0f}/s)")
    report.figure("real events failed", f"{failed}", "0", is_met=failed == 0)
    report.figure("real events counted", f"{counted:,}", f"{sent:,}", is_met=counted == sent)
    report.figure("p50 from the scheduled time", f"{percentile(real.seconds, 0.5) * 1000:.1f} ms")
    report.figure(
        "p99 in 15 s before, without slow connections",
        f"{percentile(calm.seconds, 0.99) * 1000:.1f} ms",
    )
    report.figure("p99 from the scheduled time", f"{p99:.1f} ms", "< 100 ms", is_met=p99 < 100)
    report.figure("growth of resident memory", f"{grown:.1f} MB", "< 100 MB", is_met=grown < 100)
    report.figure("slow connections at once, at most", f"{slow.most_alive:,}")
    for kind, promised in (("head", LIMITS.head_seconds), ("body", LIMITS.body_seconds)):
        lives = slow.lives[kind]
        longest = max(lives, default=math.inf)
        report.figure(
            f"longest life of {len(lives):,} slow connections ({kind})",
            f"{longest:.2f} s",
            f"<= {promised + _SWEEP:g} s",
            is_met=longest <= promised + _SWEEP,
        )
    timeouts = total(samples, "bandwidth_voice_exporter_rejected_total", reason="timeout")
    report.details = {
        "answers": dict(real.answers),
        "timeouts_counted": timeouts,
        "connects_refused": slow.refused,
        "p999_ms": percentile(real.seconds, 0.999) * 1000,
        "max_ms": max(real.seconds) * 1000,
        "resident_before_mb": before,
    }
    report.finish()


if __name__ == "__main__":
    main()
