"""Calls to send, what they should come to, and a sender that gives none of them up."""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bandwidth_voice_exporter.voice.causes import CAUSES, fault_domain
from testkit.client import Client
from testkit.exporter import WEBHOOK_PATH, Samples

Event = dict[str, Any]

APPLICATION = "04e88489-df02-4e34-a0ee-27a91849555f"

_START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ended_call(dice: random.Random, **fields: Any) -> Event:
    """One disconnect event with an id of its own."""
    cause = dice.choice(CAUSES)
    start = _START + timedelta(milliseconds=dice.randrange(10**8))
    end = start + timedelta(milliseconds=dice.randrange(600_000))
    event: Event = {
        "eventType": "disconnect",
        "eventTime": iso(datetime.now(UTC)),
        "applicationId": APPLICATION,
        "callId": f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}",
        "direction": dice.choice(("inbound", "outbound")),
        "cause": cause,
        "startTime": iso(start),
        "endTime": iso(end),
    }
    if dice.random() < 0.6:
        event["answerTime"] = iso(start + (end - start) * dice.random())
    if cause != "hangup":
        event["errorId"] = str(uuid.UUID(bytes=dice.randbytes(16)))
        event["errorMessage"] = "Call was not answered"
    return {**event, **fields}


def iso(moment: datetime) -> str:
    """A time as Bandwidth writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def expected(events: Iterable[Event]) -> dict[str, Counter[tuple[str, str]]]:
    """The sums of distinct calls: counts, and talk in whole milliseconds, by labels."""
    totals: dict[str, Counter[tuple[str, str]]] = {
        name: Counter() for name in ("calls", "answered", "talk")
    }
    for event in events:
        direction, cause = event["direction"], event["cause"]
        totals["calls"][direction, cause] += 1
        if event.get("answerTime"):
            talk = _moment(event["endTime"]) - _moment(event["answerTime"])
            totals["answered"][direction, fault_domain(cause)] += 1
            totals["talk"][direction, fault_domain(cause)] += talk // timedelta(milliseconds=1)
    return totals


def counted(samples: Samples) -> dict[str, Counter[tuple[str, str]]]:
    """The same sums by an exporter's metrics."""
    totals: dict[str, Counter[tuple[str, str]]] = {
        name: Counter() for name in ("calls", "answered", "talk")
    }
    for (name, pairs), value in samples.items():
        labels = dict(pairs)
        if name == "bandwidth_voice_calls_total":
            totals["calls"][labels["direction"], labels["cause"]] += int(value)
        elif name == "bandwidth_voice_call_duration_seconds_count":
            totals["answered"][labels["direction"], labels["fault_domain"]] += int(value)
        elif name == "bandwidth_voice_call_duration_seconds_sum":
            totals["talk"][labels["direction"], labels["fault_domain"]] += round(value * 1000)
    return {name: +total for name, total in totals.items()}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass
class Sender:
    """Sends calls from several threads until stopped; repeats each until it is answered 204.

    With ``again`` it also delivers, after every fourth, one of these or of those sent once more.
    """

    address: str
    make: Callable[[random.Random], Event]
    threads: int = 8
    limit: int = 10**9  # calls, over all threads
    again: Sequence[Event] | None = None
    sent: list[Event] = field(default_factory=list)
    unanswered: int = 0  # deliveries that were repeated
    refused: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin."""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._workers = [
            threading.Thread(target=self._work, args=(random.Random(seed),), daemon=True)
            for seed in range(self.threads)
        ]
        for worker in self._workers:
            worker.start()

    def finish(self, timeout: float = 60) -> list[Event]:
        """Make no more calls, wait until all are answered, and return them."""
        self._stop.set()
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> list[Event]:
        """Wait until the limit is reached and all are answered, and return them."""
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            assert not worker.is_alive(), "calls are still waiting for an answer"
        return self.sent

    def abandon(self) -> None:
        """Stop at once, whatever is unanswered."""
        self._stop.set()
        self.address = ""

    def _work(self, dice: random.Random) -> None:
        client = Client(self.address, timeout=10)
        while not self._stop.is_set():
            event = self.make(dice)
            with self._lock:
                if len(self.sent) >= self.limit:
                    break
                self.sent.append(event)
            bodies = [json.dumps(event).encode()]
            if self.again is not None and dice.random() < 0.25:
                is_old = self.again and dice.random() < 0.5
                old = dice.choice(self.again if is_old else self.sent)
                bodies.append(json.dumps(old).encode())
            for body in bodies:
                while self.address and not self._deliver(client, body):
                    time.sleep(0.01)  # the exporter is down just now
        client.close()

    def _deliver(self, client: Client, body: bytes) -> bool:
        try:
            answer = client.request("POST", WEBHOOK_PATH, body)
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            return False
        if answer.status != 204:
            self.refused.append(answer.status)
        return True
