"""A simulated day, squeezed: its webhooks are sent for real while the exporter cannot be reached.

Three times nobody takes them: the exporter is killed and started anew, the network is cut, and the
certificate is one that has expired, which the sender refuses. All of the calls are in Bandwidth's
list, as they begin and end.
"""

import asyncio
import contextlib
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
from testkit import waiting
from testkit.call_list import CallList
from testkit.calls import Event
from testkit.certificates import Authority
from testkit.exporter import WEBHOOK_PATH, Exporter
from testkit.half_covered import DAY, is_asked_for, made
from testkit.proxy import Proxy

_CONNECTIONS = 8
_PREPARED = timedelta(milliseconds=2)  # for a call
_LATE = 120.0  # seconds that a busy machine may send late
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
    """The calls whose webhook was taken, and the second of the day that the sender has come to."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[Leg] = set()
        self.reached = 0.0

    def write(self, delivery: Planned, attempt: int, sent_at: float, answer: Answer) -> None:
        """Note the answer to a request."""
        del attempt, sent_at
        self.reached = max(self.reached, delivery.at)
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


class Sender(threading.Thread):
    """Sends webhooks through a network, as Bandwidth does, and can be held between two of them."""

    def __init__(self, deliveries: Iterable[Planned], network: Proxy, trusts: Authority) -> None:
        super().__init__(daemon=True)
        self.outcomes = Outcomes()
        self._deliveries = deliveries
        self._may_send = threading.Event()
        self._may_send.set()
        target = parse_target(f"https://{network.address}{WEBHOOK_PATH}")
        self._courier = Courier(
            msgspec.structs.replace(target, tls=trusts.trusting()),
            self.outcomes,
            connections=_CONNECTIONS,
            speed=1.0,
        )

    def run(self) -> None:
        """Send all of them."""
        asyncio.run(self._courier.run(self._held_back()))

    def wait_for(self, seconds: float) -> None:
        """Wait until it has come to a second of the day, however late."""
        what = f"the day's second {seconds:g}"
        waiting.until(lambda: self.outcomes.reached >= seconds, what, seconds + _LATE)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it: no webhook is sent while something changes, however long that takes."""
        self._may_send.clear()
        yield
        self._may_send.set()

    def _held_back(self) -> Iterator[Planned]:
        for delivery in self._deliveries:
            self._may_send.wait()
            yield delivery


def live(
    plan: Plan, directory: Path, listed: CallList, start: Callable[..., Exporter]
) -> tuple[Lived, Exporter]:
    """Live through a day; return its calls, and the exporter that is there in the end."""
    authority = Authority()
    authority.issue(directory)
    web = directory / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    flag = f"--webhook.config.file={web}"
    begin, deliveries, lived = _prepared(plan, listed)
    running = start(flag)
    with Proxy(running.webhook_address) as network:
        while (left := (begin - datetime.now(UTC)).total_seconds()) > 0:
            time.sleep(left)  # calls end when the list says
        sender = Sender(deliveries, network, authority)
        sender.start()
        sender.wait_for(plan.down[0])
        running.kill()
        sender.wait_for(plan.down[1])
        with sender.held():
            running = start(flag)
            network.lead_to(running.webhook_address)
        sender.wait_for(plan.cut[0])
        network.cut()
        sender.wait_for(plan.cut[1])
        network.lead_to(running.webhook_address)
        sender.wait_for(plan.expired[0])
        with sender.held():
            _serve(running, authority, directory, ends=datetime.now(UTC) - timedelta(minutes=1))
            network.drop()  # on an open connection nobody looks at the certificate again
        sender.wait_for(plan.expired[1])
        with sender.held():
            _serve(running, authority, directory)
        sender.join()
    lived.taken = sender.outcomes.taken
    return lived, running


def _serve(
    running: Exporter, authority: Authority, directory: Path, ends: datetime | None = None
) -> None:
    """Let an exporter serve a new certificate."""

    def loaded() -> int:
        return sum(line["msg"] == "web configuration loaded" for line in running.log_lines())

    before = loaded()
    authority.issue(directory, ends=ends)
    running.process.send_signal(signal.SIGHUP)
    running.process.wait_until(lambda: loaded() > before, "the new certificate")


def _prepared(plan: Plan, listed: CallList) -> tuple[datetime, list[Planned], Lived]:
    """Put the day's calls into the list before it begins, however long that takes."""
    allowance = timedelta(seconds=3) + plan.calls * _PREPARED
    while True:
        begin = datetime.now(UTC) + allowance
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
