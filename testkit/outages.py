"""A simulated day, squeezed: its webhooks are sent for real while the exporter cannot be reached.

Three times nobody takes them: the exporter is killed and started anew, the network is cut, and the
certificate is one that has expired, which the sender refuses. All of the calls are in Bandwidth's
list, as they begin and end.
"""

import asyncio
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.connection import Answer
from bandwidth_voice_exporter.simulate.delivery import Courier
from bandwidth_voice_exporter.simulate.journal import Journal
from bandwidth_voice_exporter.simulate.schedule import CallReport, Planned
from bandwidth_voice_exporter.simulate.target import parse_target
from testkit.call_list import CallList
from testkit.calls import Event
from testkit.certificates import Authority
from testkit.exporter import WEBHOOK_PATH, Exporter
from testkit.half_covered import DAY, is_asked_for, made
from testkit.proxy import Proxy

_CONNECTIONS = 8
_PREPARED = timedelta(milliseconds=4)  # for a call
_LATEST = timedelta(seconds=1)  # by which calls appear in the list

Leg = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """How many calls a day has, how many seconds it takes, and which of these are outages."""

    calls: int
    seconds: float
    down: tuple[float, float]
    cut: tuple[float, float]
    expired: tuple[float, float]


class Outcomes(Journal):
    """The calls whose webhook was taken, as their sender knows it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[Leg] = set()

    def write(self, delivery: Planned, attempt: int, sent_at: float, answer: Answer) -> None:
        """Note the answer to a request."""
        del attempt, sent_at
        if answer.accepted:
            call = delivery.report.call
            self.taken.add((call.event_type, call.call_id))


@dataclass
class Lived:
    """The calls of a day: all, those with a webhook to come, and those whose webhook was taken."""

    events: list[Event]
    asked: list[Event]
    taken: set[Leg] = field(default_factory=set)


def leg(event: Mapping[str, object]) -> Leg:
    """Return what a call, or a leg, is known by."""
    return str(event["eventType"]), str(event["callId"])


def live(
    plan: Plan, directory: Path, listed: CallList, start: Callable[..., Exporter]
) -> tuple[Lived, Exporter]:
    """Live through a day; return its calls, and the exporter that is there in the end."""
    authority = Authority()
    web = directory / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    begin, deliveries, lived = _prepared(plan, listed)
    authority.issue(directory, ends=begin + timedelta(seconds=plan.expired[0]))
    outcomes = Outcomes()

    def started() -> Exporter:
        return start(f"--webhook.config.file={web}")

    def renew(running: Exporter) -> None:
        authority.issue(directory)
        running.process.send_signal(signal.SIGHUP)

    running = started()
    with Proxy(running.webhook_address) as network:
        target = parse_target(f"https://{network.address}{WEBHOOK_PATH}")
        courier = Courier(
            msgspec.structs.replace(target, tls=authority.trusting()),
            outcomes,
            connections=_CONNECTIONS,
            speed=1.0,
        )
        wait_until(begin)
        sender = threading.Thread(target=lambda: asyncio.run(courier.run(deliveries)))
        sender.start()
        try:
            running = _suffer(plan, begin, network, running, started, renew)
        finally:
            sender.join()
    lived.taken = outcomes.taken
    return lived, running


def _suffer(  # noqa: PLR0913, PLR0917  # a day's parts
    plan: Plan,
    begin: datetime,
    network: Proxy,
    running: Exporter,
    started: Callable[[], Exporter],
    renew: Callable[[Exporter], None],
) -> Exporter:
    """Let all three outages come; return the exporter that is there in the end."""

    def at(seconds: float) -> None:
        wait_until(begin + timedelta(seconds=seconds))

    at(plan.down[0])
    running.kill()
    at(plan.down[1])
    running = started()
    network.lead_to(running.webhook_address)
    at(plan.cut[0])
    network.cut()
    at(plan.cut[1])
    network.lead_to(running.webhook_address)
    at(plan.expired[0])
    network.drop()  # on an open connection nobody looks at the certificate again
    at(plan.expired[1])
    renew(running)
    return running


def wait_until(moment: datetime) -> None:
    """Wait for a time of the day, which cannot be hurried."""
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(left)


def _prepared(plan: Plan, listed: CallList) -> tuple[datetime, list[Planned], Lived]:
    """Put the day's calls into the list before it begins, however long that takes."""
    allowance = timedelta(seconds=3) + plan.calls * _PREPARED
    while True:
        # Certificates end with a second.
        begin = datetime.now(UTC).replace(microsecond=0) + allowance
        listed.calls.clear()
        dice = random.Random(plan.calls)
        reports, lived = [], Lived([], [])
        for report in _reports(made(plan.calls), begin, plan.seconds / DAY):
            event = report.payload(0)
            listed.add(event, after=dice.random() * _LATEST)
            lived.events.append(event)
            if is_asked_for(event, dice):
                lived.asked.append(event)
                at = report.call.end * plan.seconds / DAY
                reports.append(Planned(at, report, "POST", duplicate=False))
        if datetime.now(UTC) < begin - timedelta(seconds=3):
            return begin, reports, lived
        allowance *= 2


def _reports(calls: Iterable[Call], begin: datetime, share: float) -> Iterator[CallReport]:
    for call in calls:
        squeezed = msgspec.structs.replace(
            call,
            ring_ms=round(call.ring_ms * share),
            talk_ms=None if call.talk_ms is None else round(call.talk_ms * share),
            queue_ms=None if call.queue_ms is None else round(call.queue_ms * share),
        )
        yield CallReport(squeezed, round((begin.timestamp() + call.end * share) * 1000))
