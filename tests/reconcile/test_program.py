"""The real exporter beside a list of calls: killed at any moment, and asked by hand."""

import random
import signal
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testkit import call_list, waiting
from testkit.call_list import SECRET, CallList
from testkit.calls import Event, counted, expected, iso
from testkit.exporter import MODULE, Exporter, StartExporter, environment, ran
from testkit.handler import Handler, Request, Wire
from testkit.listing import calls, listing, told, wait_for_the_end
from testkit.process import Process

ROUNDS, SOAK_ROUNDS = 3, 25
LOST = 40  # calls in a round, fewer in all than webhooks tell of
_FLAGS = (
    "--reconcile.interval=1s",
    "--reconcile.settle=0s",
    "--reconcile.record",
    "--metrics.newborn-hold=100ms",
)


def is_counted(exporter: Exporter, events: Sequence[Event]) -> bool:
    """Whether just these calls are counted."""
    return counted(exporter.metrics()) == expected(events)


def kill_in_a_comparison(exporter: Exporter, listed: CallList, lost: Event, seconds: float) -> None:
    """Kill it after a question that lost calls are an answer to."""
    wait_for_the_end([lost])
    asked = len(listed.asked())
    exporter.process.wait_until(lambda: len(listed.asked()) > asked, "a comparison")
    time.sleep(seconds)  # which step it is in is what is tried
    exporter.kill()


def test_killed_in_any_step_of_a_comparison(
    exporter: StartExporter, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whenever it is killed, in the end every call is counted, and none twice."""
    dice = random.Random(11)
    with CallList() as listed:
        flags = (*listed.flags, call_list.credentials(tmp_path), *_FLAGS)
        running = exporter(*flags)
        events = calls(dice, 1)
        running.send(events[0])
        rounds = SOAK_ROUNDS if request.config.getoption("--soak") else ROUNDS
        some = calls(dice, 150 + rounds * LOST)
        told(running, listed, some)
        events += some
        for _ in range(rounds):
            lost = listing(listed, calls(dice, LOST))
            events += lost
            kill_in_a_comparison(running, listed, lost[0], 0.1 * dice.random())
            running = exporter(*flags)
        waiting.until(lambda: is_counted(running, events), "all calls counted, once", 60)
        assert running.send(events[-1]).status == 204
        assert is_counted(running, events)


def report(directory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """A comparison by hand."""
    return ran(directory, "reconcile", *flags)


def test_a_comparison_by_hand(exporter: StartExporter, tmp_path: Path) -> None:
    """The command tells what was missed since the ledger begins, and changes nothing."""
    dice = random.Random(12)
    before = datetime.now(UTC) - timedelta(minutes=30)
    with CallList() as listed:
        flags = (*listed.flags, call_list.credentials(tmp_path), "--reconcile.settle=0s")
        running = exporter()
        events = calls(dice, 120)
        told(running, listed, events)
        lost = listing(listed, calls(dice, 12))
        wait_for_the_end(lost)
        for event in calls(dice, 300):  # before the exporter was there
            listed.add(event | dict.fromkeys(("startTime", "endTime"), iso(before)))
        found = report(tmp_path / "exporter", "--since=1h", *flags)
        assert found.returncode == 0, found.stderr
        assert (
            "120 of 132 listed calls were counted by webhooks, 0 from the list; 12 were missed."
            in found.stdout
        )
        row = next(line.split() for line in found.stdout.splitlines() if "inbound" in line)
        assert "started from" in found.stdout
        assert "The ledger has no earlier ones." in found.stdout
        assert row[1:] == ["inbound", "132", "120", "0", "12", "missed"]
        assert is_counted(running, events)
        wrong = call_list.credentials(tmp_path, "wrong")
        refused = report(tmp_path / "exporter", *listed.flags, wrong)
        assert refused.returncode == 1
        assert "the secret in --reconcile.credentials-file is wrong" in refused.stderr


def test_a_comparison_by_hand_that_is_interrupted(exporter: StartExporter, tmp_path: Path) -> None:
    """Ctrl-C ends a comparison by hand with one line."""

    async def silent(request: Request, wire: Wire) -> None:
        del request, wire

    exporter()
    home = tmp_path / "exporter"
    with Handler(silent) as handler:
        flags = [
            "--reconcile.account=1",
            f"--reconcile.api-url={handler.url}",
            f"--reconcile.token-url={handler.url}",
            call_list.credentials(tmp_path),
        ]
        with Process([*MODULE, "reconcile", *flags], home, environment(home)) as asking:
            asking.wait_until(lambda: bool(handler.requests), "a question")
            asking.send_signal(signal.SIGINT)
            assert asking.wait() == 1
            (line,) = asking.output().splitlines()
            assert "nothing is changed" in line


@pytest.mark.program
def test_what_a_comparison_by_hand_needs(tmp_path: Path) -> None:
    """Without an account, a file of its own or a ledger it says what is missing."""
    assert report(tmp_path).returncode == 2
    with CallList() as listed:
        flag = call_list.credentials(tmp_path)
        (tmp_path / "client").chmod(0o644)
        others = report(tmp_path, *listed.flags, flag)
        assert others.returncode == 2
        assert "chmod 600" in others.stderr
        assert SECRET not in others.stderr
        (tmp_path / "client").chmod(0o600)
        nothing = report(tmp_path, *listed.flags, flag)
        assert nothing.returncode == 1
        assert "there is no ledger" in nothing.stderr
