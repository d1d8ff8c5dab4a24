"""What a ledger of many calls costs: starting, memory, events a second."""

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Checkpoint, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.tally import Limits, Tally
from lab.speed import events, load, receivers
from lab.speed.receivers import DISK

ROWS = (0, 1_000_000, 10_000_000)
_UNSAVED = 10_000  # rows that a start has to fold: the most that the exporter leaves
_CONNECTIONS = 64

# A row as the exporter would write it, a call every 3.6 ms, one in ten a failure.
_FILL = """
WITH RECURSIVE numbers(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < :rows),
rows AS (SELECT id, :now - (:rows - id) * 3600 AS received, id % 10 = 0 AS failed FROM numbers)
INSERT INTO calls (id, received, event_type, call_id, application, direction, cause, answered,
    error_id, error_message, start_time, end_time, delay, queue, setup, talk, unanswered)
SELECT id, received, 'disconnect', 'c-' || lower(hex(randomblob(4))) || '-' || {uuid}, :application,
    iif(id % 2, 'inbound', 'outbound'), iif(failed, 'busy', 'hangup'), NOT failed,
    iif(failed, {uuid}, NULL), iif(failed, 'Callee is busy', NULL),
    received - 60000000, received, 20000, 500000, iif(failed, NULL, 10000000),
    iif(failed, NULL, 50000000), iif(failed, 60000000, NULL)
FROM rows
"""
_UUID = " || '-' || ".join(f"lower(hex(randomblob({size})))" for size in (4, 2, 2, 2, 6))


def build(directory: Path, rows: int) -> None:
    """Write a ledger of so many calls; its indexes last, which is ten times as fast."""
    directory.mkdir(parents=True)
    Store(directory / store.FILE).close()
    now = time.time_ns() // 1000
    connection = sqlite3.connect(directory / store.FILE, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    if rows:
        values = {"rows": rows, "now": now, "application": events.application(0)}
        connection.execute(_FILL.format(uuid=_UUID), values)
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    ledger = Store(directory / store.FILE)
    state = checkpoint.encode(Tally(Limits(), now), {})
    ledger.save(Checkpoint(max(0, rows - _UNSAVED), state))
    ledger.close()


def grown(rounds: int, seconds: int, sizes: tuple[int, ...] = ROWS) -> dict[str, Any]:
    """Every size in turn, round after round; the empty one is empty again in each."""
    found: dict[int, list[dict[str, float]]] = {rows: [] for rows in sizes}
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        places = {rows: Path(temporary) / str(rows) for rows in sizes}
        for rows, place in places.items():
            build(place / "ledger", rows)
        for _ in range(rounds):
            for rows, place in places.items():
                if not rows:
                    shutil.rmtree(place)
                    build(place / "ledger", 0)
                found[rows].append(_measured(place, seconds))
    return {
        f"{rows:,} rows": {name: load.spread([one[name] for one in runs]) for name in runs[0]}
        for rows, runs in found.items()
    }


def _measured(place: Path, seconds: int) -> dict[str, float]:
    bodies = place / "bodies"
    events.write(bodies, applications=1)
    with receivers.started(DISK, place, args=["--storage.max-bytes=100GiB"]) as running:
        at_start = running.resident_mb()
        load.run(running, bodies, connections=_CONNECTIONS, seconds=1)
        run = load.run(running, bodies, connections=_CONNECTIONS, seconds=seconds)
        return {
            "ready_seconds": running.ready_seconds,
            "resident_at_start_mb": at_start,
            "resident_mb": running.resident_mb(),
            "ledger_mb": (place / "ledger" / store.FILE).stat().st_size / 1e6,
            "events_per_second": run.events_per_second,
            "processor_us": run.processor_us,
            "p99_ms": run.p99_ms,
        }
