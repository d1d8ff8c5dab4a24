"""A day with outages of three kinds, on the real exporter: afterwards its counters are whole."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter.ledger import looked_into
from bandwidth_voice_exporter.voice import DISCONNECT
from testkit import call_list, compared, waiting
from testkit.call_list import CallList
from testkit.calls import counted, expected
from testkit.compared import Event, Time
from testkit.exporter import Exporter, StartExporter
from testkit.half_covered import SOMETIMES
from testkit.outages import Leg, Lived, Plan, leg, live

# Coverage knows an outage by a whole silent second, which three seconds have at any moment.
SHORT = Plan(1_500, 20, down=(3, 6), cut=(8, 11), expired=(13.5, 16.5))
# Of 50,000 calls 5 % are missed: an hour of the day is 30 seconds.
SOAK = Plan(50_000, 720, down=(300, 330), cut=(420, 424), expired=(600, 604))
FLAGS = ("--reconcile.interval=1s", "--metrics.newborn-hold=100ms", "--reconcile.record")
_LOG = logging.getLogger(__name__)  # shown with --log-cli-level=INFO
SETTLE = "--reconcile.settle=15s"
_AT_ONCE = 500


def in_the_ledger(directory: Path, events: Sequence[Event]) -> dict[Leg, bool]:
    """Return which of these calls are in a ledger, and whether each came from the list."""
    reader = looked_into(directory)
    found: dict[Leg, bool] = {}
    for start in range(0, len(events), _AT_ONCE):
        found |= reader.find([leg(event) for event in events[start : start + _AT_ONCE]])
    return found


def is_to_count(event: Event, ledger: dict[Leg, bool]) -> bool:
    """Whether a call with a webhook is to be counted: even without, if others of its kind are."""
    return event.get("applicationId") != SOMETIMES or leg(event) in ledger


def comparisons(exporter: Exporter) -> int:
    """How many have been finished."""
    return sum("are compared" in line["msg"] for line in exporter.log_lines())


def sum_of(exporter: Exporter) -> float:
    """All calls and second legs that are counted."""
    names = ("bandwidth_voice_calls_total", "bandwidth_voice_transfer_legs_total")
    return sum(value for (name, _), value in exporter.metrics().items() if name in names)


def totals(directory: Path, listed: CallList) -> dict[str, Any]:
    """Return the totals of a ledger, buckets of histograms included."""

    async def look() -> dict[str, Any]:
        async with compared.site(directory, listed, Time(datetime.now(UTC))) as one:
            return one.totals()

    return asyncio.run(look())


def judge(lived: Lived, running: Exporter, directory: Path, listed: CallList) -> None:
    """See that all is counted that is to be, and not one call more, and that it stays so."""
    whole = [event for event in lived.asked if event.get("applicationId") != SOMETIMES]
    some = [event for event in lived.asked if event.get("applicationId") == SOMETIMES]
    least = len(whole) + sum(leg(event) in lived.taken for event in some)
    waiting.until(lambda: sum_of(running) >= least, f"{least} calls counted", 120)
    done = comparisons(running)
    waiting.until(lambda: comparisons(running) >= done + 2, "two more comparisons", 60)
    shown = counted(running.metrics())
    assert running.stop() == 0
    ledger = in_the_ledger(directory / "data", lived.events)
    to_count = [event for event in lived.asked if is_to_count(event, ledger)]
    assert ledger.keys() == {leg(event) for event in to_count}
    assert not any(ledger[leg(event)] for event in some if leg(event) in ledger)
    assert shown == expected(event for event in to_count if event["eventType"] == DISCONNECT)
    assert totals(directory, listed) == compared.expected(to_count)
    missed = len(lived.asked) - len(lived.taken)
    listed_alone = sum(ledger.values())
    said = "%d webhooks, of which %d were missed; %d calls counted from the list"
    _LOG.info(said, len(lived.asked), missed, listed_alone)
    assert missed > 0.04 * len(lived.asked)
    assert listed_alone > 0.9 * sum(leg(event) not in lived.taken for event in whole)


def test_a_day_with_three_kinds_of_outages(
    exporter: StartExporter, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Killed, cut off, with an expired certificate: compared afterwards, it counts all, once."""
    is_soak = pytestconfig.getoption("--soak")
    with CallList() as listed:
        flags = (*listed.flags, call_list.credentials(tmp_path), *FLAGS)
        # Of a short day nothing is compared before its end: a busy machine may still send.
        meanwhile = (*flags, SETTLE) if is_soak else ()
        plan = SOAK if is_soak else SHORT
        lived, running = live(plan, tmp_path, listed, lambda *more: exporter(*meanwhile, *more))
        assert running.stop() == 0
        afterwards = exporter(*flags, "--reconcile.settle=0s")
        judge(lived, afterwards, tmp_path / "exporter", listed)
