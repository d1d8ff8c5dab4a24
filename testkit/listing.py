"""Calls that end in Bandwidth's list of calls, whether or not a webhook tells of them."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from testkit import waiting
from testkit.call_list import CallList
from testkit.calls import Event, ended_call, iso
from testkit.exporter import Exporter


def calls(dice: random.Random, number: int, **fields: str) -> list[Event]:
    """Return inbound calls."""
    return [ended_call(dice, direction="inbound", **fields) for _ in range(number)]


def listing(listed: CallList, events: Sequence[Event]) -> list[Event]:
    """Have calls in the list before they start, however long that takes, and return them."""
    before = len(listed.calls)
    while True:
        begun = datetime.now(UTC)
        start = begun + timedelta(seconds=1)
        times = {
            "startTime": iso(start),
            "answerTime": iso(start + timedelta(milliseconds=100)),
            "endTime": iso(start + timedelta(milliseconds=300)),
        }
        made = []
        for event in events:
            made.append({name: times.get(name, value) for name, value in event.items()})
            listed.add(made[-1])
        if datetime.now(UTC) < begun + timedelta(milliseconds=900):
            return made
        del listed.calls[before:]


def wait_for_the_end(events: Sequence[Event]) -> None:
    """Wait until calls are over."""
    # The list's clock is known by the second.
    over = datetime.fromisoformat(events[-1]["endTime"]) + timedelta(seconds=1)
    waiting.until(lambda: datetime.now(UTC) > over, "the end of the calls")


def told(exporter: Exporter, listed: CallList, events: Sequence[Event]) -> None:
    """Let webhooks tell of calls, and have them in the list."""
    for event in events:
        assert exporter.send(event).status == 204
    wait_for_the_end(listing(listed, events))
