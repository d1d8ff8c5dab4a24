"""The cost of a ledger of many calls: starting, memory, events a second."""

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from lab.speed import events, load, receivers
from lab.speed.receivers import DISK
from testkit.ended import ended

ROWS = (0, 1_000_000, 10_000_000)
_UNSAVED = 10_000  # rows that a start has to fold: the most that the exporter leaves
_CONNECTIONS = 64

_COMMIT = 64  # rows, about as many as come at once


def build(directory: Path, rows: int) -> list[str]:
    """Write a ledger of a call every 3.6 ms, one in ten a failure, without waiting for the disk.

    Return call ids of every age.
    """
    directory.mkdir(parents=True)
    now = time.time_ns() // 1000
    dice = random.Random(rows)
    known = []
    with closing(Store(directory / store.FILE)) as ledger:
        # The measurements later are free of the wait for the disk here.
        ledger._database.write("PRAGMA synchronous = OFF")  # noqa: SLF001  # as above
        for first in range(1, rows + 1, _COMMIT):
            numbers = range(first, min(first + _COMMIT, rows + 1))
            calls = [
                call(dice, now - (rows - row) * 3600, is_failure=row % 10 == 0) for row in numbers
            ]
            ledger.append(first, calls)
            known.append(str(calls[0].call_id))
            while ledger.tidy():
                pass
        state = checkpoint.encode(Tally(Limits(), now), {})
        ledger.save(Saved(max(0, rows - _UNSAVED), state))
    return known[:: max(1, len(known) // events.KINDS)]


def call(dice: random.Random, received: int, *, is_failure: bool) -> CallEnded:
    """A call of a minute, as the exporter would write it."""
    return ended(
        received=received,
        call_id=f"c-{dice.getrandbits(32):08x}-{_uuid(dice)}",
        sip_call_id=f"{dice.getrandbits(64):x}@192.0.2.10",
        application=events.application(0),
        direction=dice.choice(("inbound", "outbound")),
        cause="busy" if is_failure else "hangup",
        answered=not is_failure,
        error_id=_uuid(dice) if is_failure else None,
        error_message="Callee is busy" if is_failure else None,
        start_time=received - 60 * SECOND,
        end_time=received,
        delay=20_000,
        queue=500_000,
        setup=None if is_failure else 10 * SECOND,
        talk=None if is_failure else 50 * SECOND,
        unanswered=60 * SECOND if is_failure else None,
    )


def _uuid(dice: random.Random) -> str:
    digits = f"{dice.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def grown(rounds: int, seconds: int, sizes: tuple[int, ...] = ROWS) -> dict[str, Any]:
    """Every size in turn, round after round; the empty one is empty again in each."""
    found: dict[int, list[dict[str, float]]] = {rows: [] for rows in sizes}
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        places = {rows: Path(temporary) / str(rows) for rows in sizes}
        known = {rows: build(place / "ledger", rows) for rows, place in places.items()}
        for _ in range(rounds):
            for rows, place in places.items():
                if not rows:
                    shutil.rmtree(place)
                    build(place / "ledger", 0)
                measured = _measured(place, seconds)
                found[rows].append(measured | looked_up(place / "ledger", known[rows]))
    return {
        f"{rows:,} rows": {name: load.spread([one[name] for one in runs]) for name in runs[0]}
        for rows, runs in found.items()
    }


def again(rounds: int, seconds: int, rows: int = 1_000_000) -> dict[str, Any]:
    """New calls, and nothing but redeliveries of calls of every age that are in the ledger."""
    found: dict[str, list[load.Run]] = {"new calls": [], "redeliveries": []}
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        place = Path(temporary)
        bodies = {name: place / name for name in found}
        events.write(bodies["new calls"], applications=1)
        events.write(bodies["redeliveries"], 1, build(place / "ledger", rows))
        with receivers.started(DISK, place, args=["--storage.max-bytes=100GiB"]) as running:
            for _ in range(rounds):
                for name, runs in found.items():
                    are_new = name == "new calls"
                    runs.append(
                        load.run(
                            running,
                            bodies[name],
                            connections=_CONNECTIONS,
                            seconds=seconds,
                            are_new=are_new,
                        )
                    )
    return {name: load.summary(runs) for name, runs in found.items()}


def looked_up(directory: Path, known: Sequence[str]) -> dict[str, float]:
    """Time to tell of each call that is known that it is: of the processor, and on the clock."""
    if not known:
        return {}
    dice = random.Random(len(known))
    calls = [msgspec.structs.replace(call(dice, 0, is_failure=True), call_id=one) for one in known]
    dice.shuffle(calls)
    with closing(Store(directory / store.FILE)) as ledger:
        used, took = time.process_time(), []
        for one in calls:
            began = time.perf_counter()
            assert ledger.has(one)
            took.append((time.perf_counter() - began) * 1e6)
        used = time.process_time() - used
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    return {"lookup_processor_us": used / len(calls) * 1e6, "lookup_us": p50, "lookup_p99_us": p99}


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
