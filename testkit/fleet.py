"""Replicas that share a ledger behind a real nginx, and a sender that delivers calls to it."""

import contextlib
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from testkit import calls, quick_replica, sums
from testkit.client import Client
from testkit.closing import Closing
from testkit.exporter import WEBHOOK_PATH, Exporter
from testkit.nginx import Nginx
from testkit.prometheus import Job, Prometheus
from testkit.proxy import Proxy

LEASE = 2.0  # seconds
NAMES = ("one", "two", "three")
HOLD = 2  # seconds, for which a series born late is shown at 0
_JOB = "replicas"
_NOWHERE = "127.0.0.1:1"
_TIMEOUT = 5.0  # longer than a replica takes for an answer while it lives
# Every series is there from the start: what it comes to is its increase.
_FLAGS = (
    f"--labels.application={calls.APPLICATION}=centre",
    "--errors.max-ids=0",
    f"--metrics.newborn-hold={HOLD}s",
)


class Fleet(Closing):
    """Three replicas, each with no volume of its own, at addresses that stay."""

    def __init__(self, directory: Path, url: str) -> None:
        """Start all of them, and nginx before them."""
        self._directory = directory
        self._url = url
        self._started = 0
        self._open = contextlib.ExitStack()
        self.replicas: dict[str, Exporter] = {}
        with contextlib.ExitStack() as opened:
            self._webhooks = {name: opened.enter_context(Proxy(_NOWHERE)) for name in NAMES}
            self._ops = {name: opened.enter_context(Proxy(_NOWHERE)) for name in NAMES}
            doors = [one.address for one in self._webhooks.values()]
            self._nginx = opened.enter_context(Nginx(directory / "nginx", doors))
            self._open = opened.pop_all()
        for name in NAMES:
            self.start(name)

    @property
    def address(self) -> str:
        """Where calls are delivered."""
        return self._nginx.address

    def start(self, name: str) -> None:
        """Start a replica, anew where there was one of the name."""
        self._started += 1
        one = Exporter(
            self._directory / f"{self._started}-{name}",
            f"--ledger.url={self._url}",
            f"--replica.name={name}",
            *_FLAGS,
            program=(sys.executable, quick_replica.__file__, str(LEASE)),
            timeout=60,
        )
        self._open.enter_context(one)
        self.replicas[name] = one
        self._webhooks[name].lead_to(one.webhook_address)
        self._ops[name].lead_to(one.ops_address)

    def watched(self) -> Prometheus:
        """A Prometheus that has scraped all replicas once; it ends with them."""
        targets = [one.address for one in self._ops.values()]  # whichever process is one
        prometheus = Prometheus(self._directory / "prometheus", Job(_JOB, targets, "1s"))
        self._open.enter_context(prometheus)
        prometheus.wait_for_scrapes(_JOB, 1)
        return prometheus

    def counted_twice(self) -> int:
        """How many calls they say that two of them counted."""
        name = ("bandwidth_voice_exporter_ledger_counted_twice_total", frozenset[tuple[str, str]]())
        return sum(int(one.metrics()[name]) for one in self.replicas.values())

    def close(self) -> None:
        """End all of it."""
        self._open.close()


def assert_exact(prometheus: Prometheus, sent: Sequence[calls.Event]) -> None:
    """Prometheus has each call once, in every counter and histogram, and saw no share fall."""
    prometheus.wait_until_scraped_after(time.time() + HOLD)
    assert sums.resets(prometheus) == {}
    expected = sums.of_events(sent, {calls.APPLICATION: "centre"})
    assert sums.difference(sums.of_raw_samples(prometheus), expected) == {}
    assert sums.difference(sums.of_increases(prometheus), expected) == {}
    summed = prometheus.query("sum(sum without (instance) (bandwidth_voice_calls_total))")
    assert summed == {frozenset(): len(sent)}


class Balanced(Closing):
    """Delivers calls from several threads to an address, each until it is answered 204.

    Every third call is delivered two or three times, at once or later.
    """

    def __init__(self, address: str, number: int, threads: int = 6, seed: int = 1) -> None:
        dice = random.Random(seed)
        self.sent = [calls.ended_call(dice) for _ in range(number)]
        deliveries = [*self.sent]
        for event in self.sent[::3]:
            deliveries += [event] * dice.choice((1, 2))
        # Mostly soon after the first one, some much later.
        order = sorted(
            range(len(deliveries)), key=lambda place: place % number + dice.expovariate(0.01)
        )
        self._left = [deliveries[place] for place in reversed(order)]
        self._address = address
        self._lock = threading.Lock()
        self.slowest = 0.0  # seconds until an answer
        self.refused: Counter[int] = Counter()
        self._is_over = False
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for worker in self._workers:
            worker.start()

    @property
    def left(self) -> int:
        """How many deliveries are to come."""
        return len(self._left)

    def wait(self, timeout: float = 120) -> None:
        """Wait until all are answered."""
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            assert not worker.is_alive(), "calls are still waiting for an answer"

    def close(self) -> None:
        """Stop at once."""
        self._is_over = True
        for worker in self._workers:
            worker.join(_TIMEOUT + 5)

    def _work(self) -> None:
        client = Client(self._address, timeout=_TIMEOUT)
        while not self._is_over:
            with self._lock:
                if not self._left:
                    break
                event = self._left.pop()
            body = json.dumps(event).encode()
            while not self._is_over and not self._deliver(client, body):
                time.sleep(0.02)  # whoever was asked is down
        client.close()

    def _deliver(self, client: Client, body: bytes) -> bool:
        started = time.monotonic()
        try:
            answer = client.request("POST", WEBHOOK_PATH, body)
        except (OSError, http.client.HTTPException):
            return False
        self.slowest = max(self.slowest, time.monotonic() - started)
        if answer.status != 204:
            self.refused[answer.status] += 1
        return answer.status == 204
