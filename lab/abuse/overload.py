"""Four times as many events as the exporter can take, for a minute, then none."""

import argparse
import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import uvloop

from lab.abuse.exporter import (
    Connection,
    Report,
    Running,
    ended_call,
    exporter,
    percentile,
    request,
    take_load_core,
    total,
)

_EVENT = request(ended_call(random.Random(6), callId="c-CALL-ID"))
_LAST_EVENT = request(ended_call(random.Random(6), callId="c-CALL-ID"), is_last=True)
_PROBES = 50  # a second
_PROBE_SECONDS = 10
_RECOVERED = 0.1  # seconds that an answer may take then


@dataclass
class Load:
    """The fate of the events."""

    due: int = 0
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def event(number: int, *, is_last: bool) -> bytes:
    """A delivery whose call id has this number: made at the cost of one replacement."""
    template = _LAST_EVENT if is_last else _EVENT
    return template.replace(b"c-CALL-ID", b"%09x" % number)


async def capacity(running: Running, numbers: Iterator[int], seconds: float) -> float:
    """Events a second over 64 connections, each of which always waits for an answer."""
    until = time.monotonic() + seconds
    answered = 0

    async def work() -> None:
        nonlocal answered
        connection = await Connection.to(running.webhook)
        while time.monotonic() < until:
            assert await connection.deliver(event(next(numbers), is_last=False)) == 204
            answered += 1
        connection.close()

    await asyncio.gather(*(work() for _ in range(64)))
    return answered / seconds


async def overload(
    running: Running,
    numbers: Iterator[int],
    rate: float,
    options: argparse.Namespace,
    load: Load,
) -> None:
    """Make events due at a rate; those that find no free connection are not sent.

    Half of the connections are new for each event, half are kept alive. The events that are due
    and wait are bounded like the connections: their sender gives up the oldest.
    """
    began = time.monotonic()
    until, connections = began + options.seconds, options.connections
    waiting: deque[float] = deque(maxlen=connections)
    is_due = asyncio.Event()

    async def work(*, is_last: bool) -> None:
        connection: Connection | None = None
        try:
            while True:
                while not waiting:
                    is_due.clear()
                    await is_due.wait()
                moment = waiting.popleft()
                try:
                    if connection is None or not connection.is_open:
                        connection = await Connection.to(running.webhook)
                    load.sent += 1
                    status = await connection.deliver(event(next(numbers), is_last=is_last))
                    load.answers[str(status)] += 1
                except OSError as error:
                    load.answers[type(error).__name__] += 1
                load.seconds.append(time.monotonic() - moment)
                if is_last and connection:
                    connection.close()
        finally:
            if connection:
                connection.close()

    workers = [asyncio.create_task(work(is_last=one % 2 == 0)) for one in range(connections)]
    while (now := time.monotonic()) < until:
        new = int((now - began) * rate) - load.due
        load.due += new
        waiting.extend([now] * min(new, connections))
        is_due.set()
        await asyncio.sleep(0.005)
    for worker in workers:  # at once: what has no answer yet stays without
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def probe(running: Running, numbers: Iterator[int], load: Load) -> list[tuple[float, float]]:
    """Send events at a leisurely rate, each over a new connection: when, and how long it took."""
    began = time.monotonic()
    results: list[tuple[float, float]] = []

    async def one(moment: float) -> None:
        await asyncio.sleep(moment - time.monotonic())
        load.sent += 1
        connection = await Connection.to(running.webhook)
        status = await connection.deliver(event(next(numbers), is_last=True))
        load.answers[str(status)] += 1
        results.append((moment - began, time.monotonic() - moment))
        connection.close()

    moments = [began + number / _PROBES for number in range(_PROBES * _PROBE_SECONDS)]
    await asyncio.gather(*(one(moment) for moment in moments))
    return sorted(results)


def recovery(probes: list[tuple[float, float]]) -> float:
    """Seconds until the 99th percentile of the probes of two seconds is as it should be."""
    for moment, _ in probes:
        window = [took for at, took in probes if moment <= at < moment + 2]
        if percentile(window, 0.99) < _RECOVERED:
            return moment
    return float("inf")


async def watch(running: Running, samples: list[tuple[float, float]]) -> None:
    """Note the resident memory twice a second."""
    began = time.monotonic()
    while True:
        samples.append((time.monotonic() - began, running.resident()))
        await asyncio.sleep(0.5)


@dataclass
class Course:
    """How it went."""

    capacity: float = 0.0
    warm: int = 0  # calls counted before
    share: float = 0.0  # of its core that the exporter used
    memory: list[tuple[float, float]] = field(default_factory=list)
    probes: list[tuple[float, float]] = field(default_factory=list)


async def abuse(running: Running, options: argparse.Namespace, load: Load) -> Course:
    """Find the capacity, send more, look how long it takes to recover."""
    course, numbers = Course(), count(1)
    course.capacity = await capacity(running, numbers, 5)
    course.warm = running.counted()
    watcher = asyncio.create_task(watch(running, course.memory))
    used = running.processor_seconds()
    rate = options.times * course.capacity
    await overload(running, numbers, rate, options, load)
    course.share = (running.processor_seconds() - used) / options.seconds
    course.probes = await probe(running, numbers, load)
    watcher.cancel()
    return course


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--connections", type=int, default=2000)
    options = parser.parse_args()
    take_load_core()
    report = Report("overload", f"{options.times:g} times the capacity for {options.seconds:g} s")
    load = Load()
    with exporter() as running:
        course = uvloop.run(abuse(running, options, load))
        samples = running.metrics()
        counted = running.counted() - course.warm
    answered = load.answers["204"]
    in_flight = [used for at, used in course.memory if at < options.seconds]
    half = len(in_flight) // 2
    early, late = max(in_flight[: half or 1]), max(in_flight[half:])
    recovered = recovery(course.probes)
    refused = sum(load.answers[status] for status in ("429", "503"))
    report.figure("capacity (64 connections, closed loop)", f"{course.capacity:,.0f}/s")
    report.figure("events due", f"{load.due:,} ({load.due / options.seconds:,.0f}/s)")
    report.figure("events sent", f"{load.sent:,}")
    report.figure("answered 204", f"{answered:,} ({answered / options.seconds:,.0f}/s)")
    report.figure(
        "counted",
        f"{counted:,}",
        "answered <= counted <= sent",
        is_met=answered <= counted <= load.sent,
    )
    report.figure("answered 429 or 503", f"{refused}", "0", is_met=refused == 0)
    report.figure("exporter's share of its core", f"{course.share:.0%}")
    report.figure("p99 of answers meanwhile", f"{percentile(load.seconds, 0.99):.2f} s")
    report.figure(
        "most resident memory, first and second half",
        f"{early:.0f} MB, {late:.0f} MB",
        "second <= first + 10 MB",
        is_met=late <= early + 10,
    )
    report.figure("p99 < 100 ms again after", f"{recovered:.2f} s", "< 5 s", is_met=recovered < 5)
    report.details = {
        "answers": dict(load.answers),
        "memory": [(round(at, 1), round(used, 1)) for at, used in course.memory[::10]],
        "evicted": total(samples, "bandwidth_voice_exporter_rejected_total", reason="overload"),
        "aborted": total(samples, "bandwidth_voice_exporter_rejected_total", reason="aborted"),
    }
    report.finish()


if __name__ == "__main__":
    main()
