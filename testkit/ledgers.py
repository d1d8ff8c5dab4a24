"""Ledgers that are not running, and what a running exporter says of its own."""

import json
import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec.structs import astuple

from bandwidth_voice_exporter.ledger import schema, store
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.call import CallEnded, read_event
from testkit import calls, hasty
from testkit.ended import ended
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


def stored_calls(
    directory: Path, number: int, received: int, *, version: int | None = None
) -> list[calls.Event]:
    """Put calls into a ledger that is not running, as the exporter would have, or an older one."""
    dice = random.Random(f"{number} {received}")
    events = [calls.ended_call(dice) for _ in range(number)]
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / store.FILE
    ledger = None if version else Store(path)
    saved = ledger.checkpoint() if ledger else None
    tally, _ = checkpoint.resume(saved.state if saved else None, Limits(), {}, received)
    rows = []
    for event in events:
        call = read_event(payload.from_json(json.dumps(event).encode()), received).call
        assert call is not None
        tally.fold(call)
        rows.append(call)
    state = checkpoint.encode(tally, {})
    if ledger:
        first = ledger.last_row() + 1
        for start in range(0, number, 1000):
            ledger.append(first + start, rows[start : start + 1000])
        ledger.save(Saved(first + number - 1, state))
        while ledger.tidy():
            pass
        ledger.close()
    elif version:
        older_ledger(path, rows, version=version, saved=Saved(number, state))
    return events


def a_call(dice: random.Random, received: int) -> CallEnded:
    """A call with ids of its own, one in three a failure, one in five a second leg."""
    is_failure = dice.random() < 0.3
    return ended(
        received=received,
        event_type="transferDisconnect" if dice.random() < 0.2 else "disconnect",
        call_id=f"c-{dice.getrandbits(128):032x}",
        sip_call_id=f"{dice.getrandbits(64):x}@192.0.2.1",
        application=calls.APPLICATION,
        direction=dice.choice(("inbound", "outbound")),
        cause="busy" if is_failure else "hangup",
        answered=not is_failure,
        error_id=f"{dice.getrandbits(128):032x}" if is_failure else None,
    )


def older_ledger(
    path: Path, calls: Sequence[CallEnded], *, version: int, saved: Saved | None = None
) -> None:
    """Write a ledger as a version did that had a row for each call."""
    with closing(sqlite3.connect(path)) as ledger, ledger:
        for script in schema.MIGRATIONS[:version]:
            ledger.executescript(script)
        ledger.execute(f"PRAGMA user_version = {version}")
        if saved:
            ledger.execute("INSERT INTO checkpoint VALUES (?, ?)", astuple(saved))
        columns = len(ledger.execute("SELECT name FROM pragma_table_info('calls')").fetchall())
        marks = ", ".join("?" * columns)
        values = ((row, *astuple(call))[:columns] for row, call in enumerate(calls, 1))
        ledger.executemany(f"INSERT INTO calls VALUES ({marks})", values)  # noqa: S608  # marks


def hurried(directory: Path, sure: float = 3600.0) -> list[str]:
    """The exporter in haste, at a clock that ``set_ahead`` sets and that is sure after seconds."""
    return [sys.executable, hasty.__file__, str(directory / "ahead"), str(sure)]


def set_ahead(directory: Path, seconds: int) -> None:
    """Set the clock of a hurried exporter, at once and as a whole."""
    (directory / "ahead.new").write_text(str(seconds))
    (directory / "ahead.new").replace(directory / "ahead")
