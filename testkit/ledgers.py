"""Ledgers that are not running, and what a running exporter says of its own."""

import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Checkpoint, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.call import read_event
from testkit import calls, hasty
from testkit.exporter import Exporter

DAY = 24 * 3600 * 10**6


def call_metrics(exporter: Exporter) -> str:
    """The text of all that must survive a restart."""
    lines = exporter.scrape().text.splitlines()
    return "\n".join(
        line for line in lines if "bandwidth_voice_" in line and "_exporter_" not in line
    )


def value(exporter: Exporter, name: str, **labels: str) -> float:
    """One sample of /metrics."""
    return exporter.metrics()[f"bandwidth_voice_exporter_{name}", frozenset(labels.items())]


@contextmanager
def sending(exporter: Exporter, limit: int = 10**9) -> Iterator[calls.Sender]:
    """Send calls to an exporter, or to its successors at the same address."""
    sender = calls.Sender(exporter.webhook_address, calls.ended_call, limit=limit)
    try:
        yield sender
    finally:
        sender.abandon()


def stored_calls(directory: Path, number: int, received: int) -> list[calls.Event]:
    """Put calls into a ledger that is not running, as the exporter would have."""
    dice = random.Random(number)
    events = [calls.ended_call(dice) for _ in range(number)]
    directory.mkdir(parents=True, exist_ok=True)
    ledger = Store(directory / store.FILE)
    tally, _ = checkpoint.resume(None, Limits(), {}, received)
    rows = []
    for event in events:
        call = read_event(payload.from_json(json.dumps(event).encode()), received).call
        assert call is not None
        tally.fold(call)
        rows.append(call)
    first = ledger.last_row() + 1
    ledger.append(first, rows)
    ledger.save(Checkpoint(first + number - 1, checkpoint.encode(tally, {})))
    ledger.close()
    return events


def hurried(directory: Path, sure: float = 3600.0) -> list[str]:
    """The exporter in haste, at a clock that ``set_ahead`` sets and that is sure after seconds."""
    return [sys.executable, hasty.__file__, str(directory / "ahead"), str(sure)]


def set_ahead(directory: Path, seconds: int) -> None:
    """Set the clock of a hurried exporter, at once and as a whole."""
    (directory / "ahead.new").write_text(str(seconds))
    (directory / "ahead.new").replace(directory / "ahead")
