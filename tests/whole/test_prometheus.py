"""A real Prometheus has every ended call, exactly: no tolerance anywhere in here."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES
from bandwidth_voice_exporter.voice.event_types import TRANSFER_DISCONNECT
from testkit import calls, sums
from testkit.calls import Sender
from testkit.exporter import Exporter, StartExporter
from testkit.prometheus import Job, Prometheus, StartPrometheus
from testkit.proxy import Proxy
from testkit.simulator import LogLine, Simulation, simulate

pytestmark = pytest.mark.prometheus

JOB = "exporter"
HOLD = 4  # seconds: more than the longest scrape interval below, and twice the shorter one
HELD = f"--metrics.newborn-hold={HOLD}s"

NAMES = {
    application.application_id: name
    for application, name in zip(APPLICATIONS, ("centre", "dialler", "ivr"), strict=True)
}
NAMED = [f"--labels.application={identifier}={name}" for identifier, name in NAMES.items()]
NEWCOMER = "5ee1a0d5-1b1e-4c55-8b57-0c0ffee00d44"
ONCE = "0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d"

# 800 events a second: a run covers several scrapes.
TRAFFIC = ("--flat", "--rate=6000", "--speed=8")
MIXED = ("--duplicate-share=0.1", "--get-share=0.2", "--transfer-share=0.1")
# So that every documented cause comes up, and the rare ones rarely.
EVERY_CAUSE = [
    f"--incident=cause={cause},after=0s,for=10m,share=0.004,direction={direction}"
    for cause in CAUSES
    for direction in DIRECTIONS
]


def watch(prometheus: StartPrometheus, address: str, *intervals: str) -> list[Prometheus]:
    """A Prometheus for each scrape interval, all of which have scraped the address once."""
    servers = [
        prometheus(Job(JOB, [address], interval), name=f"prometheus-{interval}")
        for interval in intervals
    ]
    for server in servers:
        server.wait_for_scrapes(JOB, 1)
    return servers


def assert_exact(expected: sums.Sums, *servers: Prometheus) -> None:
    """Once no label set is held any more, each has these sums, however one asks for them."""
    released = time.time() + HOLD
    for server in servers:
        server.wait_until_scraped_after(released)
        assert sums.resets(server) == {}
        assert sums.difference(sums.of_raw_samples(server), expected) == {}
        assert sums.difference(sums.of_increases(server), expected) == {}


def has_calls(server: Prometheus, application: str) -> bool:
    """Whether Prometheus has seen calls of an application, and not only zeros."""
    return bool(server.query(f'bandwidth_voice_calls_total{{application="{application}"}} > 0'))


def run_with_newcomers(running: Exporter, directory: Path, server: Prometheus) -> sums.Sums:
    """Let an application and a cause appear in the middle of a run, and others for one call."""
    with Simulation(
        directory / "known", running.webhook_url, "--events=4000", *TRAFFIC, *MIXED
    ) as known:
        server.process.wait_until(lambda: has_calls(server, "centre"), "calls in Prometheus")
        # A direction that Bandwidth does not have gives histograms that nobody expected either.
        once = calls.ended_call(
            random.Random(4), applicationId=ONCE, cause="once-only", direction="sideways"
        )
        assert "answerTime" in once
        assert running.send(once).status == 204
        assert known.process.exit_code is None, "the run ended before anything new came"
        newcomers = simulate(
            directory / "newcomers",
            running.webhook_url,
            "--events=300",
            f"--application={NEWCOMER}",
            "--incident=cause=sudden-silence,after=0s,for=10m,share=0.3",
            *TRAFFIC,
            *MIXED,
        )
        log = known.finish()
    expected = sums.of_log([*log, *newcomers], NAMES)
    expected += sums.of_events([{**once, "direction": "invalid"}])
    assert sums.calls_with(expected, application=NEWCOMER, cause="sudden-silence") > 0
    assert sums.calls_with(expected, application=ONCE, cause="once-only") == 1
    return expected


def old_and_new(dice: random.Random) -> calls.Event:
    """A call of an application that is known from the start, or of one that is not."""
    known = APPLICATIONS[0].application_id
    return calls.ended_call(dice, applicationId=dice.choice((known, NEWCOMER)))


def events_of(log: list[LogLine]) -> Counter[tuple[str, str]]:
    """Answered requests by event type and by what the exporter should make of them."""
    seen: set[tuple[str, str]] = set()
    results: Counter[tuple[str, str]] = Counter()
    for line in log:
        leg = (line["event_type"], line["call_id"])
        results[line["event_type"], "duplicate" if leg in seen else "counted"] += 1
        seen.add(leg)
    return results


def test_simulated_run_is_counted_exactly(
    exporter: StartExporter, prometheus: StartPrometheus, tmp_path: Path
) -> None:
    """Every answered call of a run is counted once, the first of each cause and direction too."""
    running = exporter(HELD, *NAMED)
    [server] = watch(prometheus, running.ops_address, "1s")
    log = simulate(
        tmp_path, running.webhook_url, "--events=5000", "--seed=3", *TRAFFIC, *MIXED, *EVERY_CAUSE
    )
    expected = sums.of_log(log, NAMES)
    results = events_of(log)
    assert sum(number for (_, result), number in results.items() if result == "counted") >= 5000
    assert results["disconnect", "duplicate"] > 100
    assert results[TRANSFER_DISCONNECT, "counted"] > 100
    assert {line["method"] for line in log} == {"GET", "POST"}
    assert all(
        sums.calls_with(expected, cause=cause, direction=direction) > 0
        for cause in CAUSES
        for direction in DIRECTIONS
    )
    assert 1 in expected.values(), "a series that moves but once"
    assert_exact(expected, server)
    assert server.query(
        "sum by (event_type, result) (bandwidth_voice_exporter_events_total) > 0"
    ) == {
        frozenset({("event_type", event_type), ("result", result)}): number
        for (event_type, result), number in results.items()
    }


def test_newcomers_in_mid_run_are_counted_exactly(
    exporter: StartExporter, prometheus: StartPrometheus, tmp_path: Path
) -> None:
    """increase() sees every call of an application and a cause nobody knew, the first included.

    Two servers on one address with different intervals both see them.
    """
    running = exporter(HELD, *NAMED)
    servers = watch(prometheus, running.ops_address, "1s", "3s")
    assert_exact(run_with_newcomers(running, tmp_path, servers[0]), *servers)


def test_scrape_that_times_out_loses_nothing(
    exporter: StartExporter, prometheus: StartPrometheus
) -> None:
    """A newcomer's first call is seen where a scrape during the hold was answered in vain."""
    running = exporter(HELD)
    dice = random.Random(2)
    with Proxy(running.ops_address) as proxy:
        [server] = watch(prometheus, proxy.address, "1s")
        before = calls.ended_call(dice)
        assert running.send(before).status == 204
        server.wait_until_scraped_after(time.time() + HOLD)
        born = time.time()
        first = calls.ended_call(dice, applicationId=ONCE, cause="once-only")
        assert running.send(first).status == 204
        proxy.stall()

        def failed() -> list[float]:
            samples = server.raw_samples("up")
            return [at for series in samples.values() for at, up in series if up == 0]

        server.process.wait_until(failed, "a scrape that timed out")
        assert born <= failed()[0] < born + HOLD
        assert_exact(sums.of_events([before, first]), server)
        assert len(failed()) == 1


@pytest.mark.parametrize(
    ("end", "seen"),
    [
        pytest.param(Exporter.stop, NEWCOMER, id="stop"),
        # So soon that the newcomer is held, and that nothing but its rows is on the disk.
        pytest.param(Exporter.kill, "centre", id="kill-at-once"),
    ],
)
def test_restart_loses_and_resets_nothing(
    exporter: StartExporter,
    prometheus: StartPrometheus,
    end: Callable[[Exporter], object],
    seen: str,
) -> None:
    """Counters go on where they were after SIGTERM and SIGKILL, while calls keep coming."""
    running = exporter(HELD, *NAMED)
    addresses = (
        f"--webhook.listen-address={running.webhook_address}",
        f"--web.listen-address={running.ops_address}",
    )
    [server] = watch(prometheus, running.ops_address, "1s")
    sender = Sender(running.webhook_address, old_and_new, threads=2)
    try:
        server.process.wait_until(lambda: has_calls(server, seen), "calls in Prometheus")
        end(running)
        exporter(HELD, *NAMED, *addresses)
        server.wait_until_scraped_after(time.time())
        events = sender.finish()
    finally:
        sender.abandon()
    assert sender.unanswered > 0, "no call came while the exporter was away"
    assert sender.refused == []
    assert_exact(sums.of_events(events, NAMES), server)
