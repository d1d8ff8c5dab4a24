"""Several exporters behind nginx, each with its ledger: what Prometheus's sum is worth."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from testkit import calls, sums
from testkit.certificates import Authority
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter
from testkit.nginx import Nginx
from testkit.prometheus import Job, Prometheus, StartPrometheus
from testkit.simulator import simulate

pytestmark = [pytest.mark.prometheus, pytest.mark.needs("nginx")]

NAMES = ("one", "two", "three")
HOLD = 2  # seconds, of scrapes every second
# No label set is born in the run: one that is, just before a stop that outlasts the hold, has no 0.
NAMED = {calls.APPLICATION: "centre"} | {
    application.application_id: f"simulated {number}"
    for number, application in enumerate(APPLICATIONS)
}
SETTINGS = (
    f"--metrics.newborn-hold={HOLD}s",
    "--errors.max-ids=0",
    *(f"--labels.application={identifier}={name}" for identifier, name in NAMED.items()),
)
THREADS = 6  # of the sender, so that many requests are in flight at most


@dataclass
class Replicas:
    """Three exporters, the nginx before them and the Prometheus that scrapes each."""

    exporters: dict[str, Exporter]
    nginx: Nginx
    prometheus: Prometheus
    start: StartExporter

    def again(self, name: str) -> None:
        """Start one that has ended, at its addresses and with its ledger, and see it scraped."""
        before = self.exporters[name]
        self.exporters[name] = self.start(
            *SETTINGS,
            f"--webhook.listen-address={before.webhook_address}",
            f"--web.listen-address={before.ops_address}",
            name=name,
        )
        self.prometheus.wait_until_scraped_after(time.time())

    def failed_over(self) -> int:
        """How many requests nginx has given to another exporter than it wanted to."""
        return sum(line.endswith(", 204") for line in self.nginx.lines())

    def assert_sum(self, expected: sums.Sums) -> None:
        """Once no label set is held any more, Prometheus's sum over the three is this."""
        self.prometheus.wait_until_scraped_after(time.time() + HOLD)
        assert sums.difference(sums.of_raw_samples(self.prometheus), expected) == {}
        assert sums.difference(sums.of_increases(self.prometheus), expected) == {}
        assert sums.resets(self.prometheus) == {}

    def ledgers(self) -> Counter[tuple[str, str]]:
        """Stop all; in how many ledgers each leg is."""
        found: Counter[tuple[str, str]] = Counter()
        for one in self.exporters.values():
            assert one.stop() == 0
            path = one.process.stdout.parent / "data" / store.FILE
            with closing(Store(path, read_only=True)) as ledger:
                found.update(
                    (call.event_type, str(call.call_id)) for _, call in ledger.calls_after(0)
                )
        return found


@pytest.fixture
def replicas(
    exporter: StartExporter, prometheus: StartPrometheus, tmp_path: Path
) -> Iterator[Replicas]:
    """Three exporters with durable ledgers, which Prometheus has scraped once."""
    exporters = {name: exporter(*SETTINGS, name=name) for name in NAMES}
    job = Job("exporters", [one.ops_address for one in exporters.values()])
    server = prometheus(job)
    server.wait_for_scrapes("exporters", 1)
    upstreams = [one.webhook_address for one in exporters.values()]
    pair = Authority().issue(tmp_path)
    with Nginx(tmp_path / "nginx", upstreams, pair, is_encrypted=False) as nginx:
        yield Replicas(exporters, nginx, server, exporter)


def end_each(replicas: Replicas, end: Callable[[Exporter], object]) -> list[calls.Event]:
    """End and restart one after the other under load; the calls sent, each answered 204."""
    sender = calls.Sender(replicas.nginx.address, calls.ended_call, threads=THREADS)
    try:
        for name in NAMES:
            taken_over = replicas.failed_over() + 2 * THREADS
            end(replicas.exporters[name])
            replicas.nginx.process.wait_until(
                lambda: replicas.failed_over() > taken_over,  # noqa: B023  # not kept
                f"calls of {name} that others take",
            )
            replicas.again(name)
        sent = sender.finish()
    finally:
        sender.abandon()
    assert sender.unanswered == 0, "nginx hung up"
    assert sender.refused == []
    return sent


def test_stopped_replicas_count_exactly(replicas: Replicas) -> None:
    """Three exporters stopped one by one under load have in their sum what was sent, exactly."""
    sent = end_each(replicas, Exporter.stop)
    replicas.assert_sum(sums.of_events(sent, NAMED))
    assert set(replicas.ledgers().values()) == {1}


def test_killed_replicas_lose_nothing(replicas: Replicas) -> None:
    """Killed, they have in their sum what was sent, and in excess only calls then in flight."""
    sent = end_each(replicas, Exporter.kill)
    replicas.prometheus.wait_until_scraped_after(time.time() + HOLD)
    found = sums.of_raw_samples(replicas.prometheus)
    by_leg = {(event["eventType"], event["callId"]): event for event in sent}
    ledgers = replicas.ledgers()
    assert ledgers.keys() == by_leg.keys()
    again = [by_leg[leg] for leg, number in ledgers.items() for _ in range(number - 1)]
    assert len(again) <= THREADS * len(NAMES)
    expected = sums.of_events(sent, NAMED)
    for event in again:
        expected += sums.of_events([event], NAMED)
    assert sums.difference(found, expected) == {}


def test_redeliveries_find_their_ledger(replicas: Replicas, tmp_path: Path) -> None:
    """A call sent twice goes to the same exporter twice, by POST or GET, and counts once."""
    log = simulate(
        tmp_path / "simulation",
        f"http://{replicas.nginx.address}{WEBHOOK_PATH}",
        *("--events=2000", "--flat", "--rate=6000", "--speed=8"),
        *("--duplicate-share=0.3", "--get-share=0.5", "--transfer-share=0.2"),
    )
    assert {line["status"] for line in log} == {204}
    expected = sums.of_log(log, NAMED)
    replicas.assert_sum(expected)
    shares = [
        sum(calls.counted(one.metrics())["calls"].values()) for one in replicas.exporters.values()
    ]
    assert min(shares) > 300, "the load is not spread"
