"""Replicas that share a ledger, and a sender that delivers each call to any of them."""

import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from testkit import calls, quick_replica
from testkit.client import Client
from testkit.closing import Closing
from testkit.exporter import WEBHOOK_PATH, Exporter

LEASE = 2.0  # seconds
_QUICK = (sys.executable, quick_replica.__file__, str(LEASE))
_TIMEOUT = 5.0  # longer than a replica takes for an answer while it lives


class Fleet(Closing):
    """Replicas by name, each with no volume of its own."""

    def __init__(self, directory: Path, url: str, program: Sequence[str] = _QUICK) -> None:
        self._directory = directory
        self._program = program
        self._url = url
        self._started = 0
        self._all: list[Exporter] = []
        self.replicas: dict[str, Exporter] = {}

    def start(self, name: str, *flags: str) -> Exporter:
        """Start a replica, anew where there was one of the name."""
        self._started += 1
        one = Exporter(
            self._directory / f"{self._started}-{name}",
            f"--ledger.url={self._url}",
            f"--replica.name={name}",
            *flags,
            program=self._program,
            timeout=60,
        )
        self._all.append(one)
        self.replicas[name] = one
        return one

    def address(self, dice: random.Random) -> str:
        """Where a delivery goes: to any replica."""
        return dice.choice([*self.replicas.values()]).webhook_address

    def counted(self) -> dict[str, Counter[tuple[str, str]]]:
        """The sum of all shares."""
        totals: dict[str, Counter[tuple[str, str]]] = {}
        for one in self.replicas.values():
            for what, counts in calls.counted(one.metrics()).items():
                totals.setdefault(what, Counter()).update(counts)
        return totals

    def counted_twice(self) -> int:
        """How many calls they say that two of them counted."""
        name = ("bandwidth_voice_exporter_ledger_counted_twice_total", frozenset[tuple[str, str]]())
        return sum(int(one.metrics()[name]) for one in self.replicas.values())

    def close(self) -> None:
        """End all of them."""
        for one in self._all:
            one.close()


class Balanced(Closing):
    """Delivers calls from several threads to any replica, and to another until it is answered 204.

    Every third call is delivered two or three times, at once or later, to any of them, unless each
    is delivered ``once``; ``timeout`` is that of an answer.
    """

    def __init__(  # noqa: PLR0913  # each by name
        self,
        fleet: Fleet,
        number: int,
        *,
        threads: int = 6,
        seed: int = 1,
        once: bool = False,
        timeout: float = _TIMEOUT,
    ) -> None:
        dice = random.Random(seed)
        self._timeout = timeout
        self.sent = [calls.ended_call(dice) for _ in range(number)]
        deliveries = [*self.sent]
        for event in () if once else self.sent[::3]:
            deliveries += [event] * dice.choice((1, 2))
        # Mostly soon after the first one, some much later.
        order = sorted(
            range(len(deliveries)), key=lambda place: place % number + dice.expovariate(0.01)
        )
        self._left = [deliveries[place] for place in reversed(order)]
        self._fleet = fleet
        self._lock = threading.Lock()
        self.slowest = 0.0  # seconds until an answer
        self.refused: Counter[int] = Counter()
        self._is_over = False
        self._workers = [
            threading.Thread(target=self._work, args=(random.Random(seed),), daemon=True)
            for seed in range(threads)
        ]
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
            worker.join(self._timeout + 5)

    def _work(self, dice: random.Random) -> None:
        clients: dict[str, Client] = {}
        while not self._is_over:
            with self._lock:
                if not self._left:
                    break
                event = self._left.pop()
            body = json.dumps(event).encode()
            while not self._is_over:
                address = self._fleet.address(dice)
                client = clients.setdefault(address, Client(address, timeout=self._timeout))
                if self._deliver(client, body):
                    break
                time.sleep(0.02)  # that one is down
        for client in clients.values():
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
