"""The cost of looking up failures among a million, to the asker and to events meanwhile.

The exporter runs on one core, what sends and asks on the other. Stretches with searches alternate
with stretches without, so that both see the same machine; events are sent at a fixed rate, and
their times run from when they were due. The run ends by comparing /metrics with what was answered.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.call import CallEnded
from lab.speed.events import AUTHORIZATION, PATH
from lab.speed.growth import call
from lab.speed.receivers import DISK, LOAD_CORE, started

PROMISED_MS = 200
SENDERS = 8
RARE = 25  # calls of the rare cause, of the rare application
APPLICATIONS = tuple(str(uuid.UUID(int=number << 64)) for number in range(1, 21))
RARE_APPLICATION = str(uuid.UUID(int=99 << 64))
CAUSES = ("busy", "timeout", "callback-error", "rejected", "cancel", "error")
STEP = 5000


def failure(dice: random.Random, received: int, *, is_rare: bool) -> CallEnded:
    """A failed call: nearly all of six causes and twenty applications."""
    return msgspec.structs.replace(
        call(dice, received, is_failure=True),
        cause="account-limit" if is_rare else dice.choice(CAUSES),
        application=RARE_APPLICATION if is_rare else dice.choice(APPLICATIONS),
        sip_call_id=f"{dice.randbytes(8).hex()}@192.0.2.10",
    )


def build(directory: Path, rows: int) -> list[CallEnded]:
    """Write a ledger of that many failures from the last six days; return some that are in it."""
    directory.mkdir(parents=True)
    dice = random.Random(rows)
    ledger = Store(directory / store.FILE)
    now = time.time_ns() // 1000
    apart = 6 * 86_400 * 10**6 // rows
    rare = {round(n * rows / RARE) + 1 for n in range(RARE)}
    tally, _ = checkpoint.resume(None, Limits(), {}, now)
    known = []
    for first in range(1, rows + 1, STEP):
        calls = [
            failure(dice, now - (rows - row) * apart, is_rare=row in rare)
            for row in range(first, min(first + STEP, rows + 1))
        ]
        ledger.append(first, calls)
        known.append(calls[0])
        for one in calls:
            tally.fold(one)
    ledger.save(Saved(rows, checkpoint.encode(tally, {})))
    ledger.close()
    return known


def questions(known: list[CallEnded]) -> dict[str, str]:
    """Return the queries by their names."""
    filters = {
        "no filter": "",
        "common cause": "cause=busy",
        "rare cause": "cause=account-limit",
        "common fault domain": "fault_domain=user",
        "fault domain without a call": "fault_domain=unclassified",
        "common application": f"application={APPLICATIONS[0]}",
        "rare application": f"application={RARE_APPLICATION}",
        "direction": "direction=inbound",
        "all filters": f"cause=timeout&application={APPLICATIONS[1]}&direction=outbound&from=3d",
        "a day ago": "from=48h&to=24h",
    }
    asked = {}
    for name, text in filters.items():
        asked[f"{name}, first page"] = text
        asked[f"{name}, last page"] = f"{text}&newer=0-0".lstrip("&")
    middle = known[len(known) // 2]
    asked["call id"] = f"call_id={middle.call_id}"
    asked["error id"] = f"error_id={middle.error_id}"
    asked["SIP call id"] = f"sip_call_id={middle.sip_call_id}"
    asked["any id"] = f"q={middle.error_id}"
    asked["an id that nothing has"] = "q=nothing"
    return asked


class Load:
    """Sends events at a fixed rate until stopped; seconds from due to answered, in order."""

    def __init__(self, address: str, rate: int) -> None:
        self.times: list[float] = []
        self._address = address
        self._interval = SENDERS / rate
        self._began = time.perf_counter()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Send no more, and wait for the answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        dice = random.Random(time.time_ns() + number)
        connection = http.client.HTTPConnection(self._address, timeout=60)
        due = self._began + self._interval * number / SENDERS
        while not self._stop.is_set():
            body = json.dumps(event(dice))
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("POST", PATH, body, {"Authorization": AUTHORIZATION})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == http.HTTPStatus.NO_CONTENT, answer.status
            self.times.append(time.perf_counter() - due)
            due += self._interval
        connection.close()


def event(dice: random.Random) -> dict[str, str]:
    """An ended call, every fifth a failed one."""
    is_failure = dice.random() < 1 / 5
    found = {
        "eventType": "disconnect",
        "callId": f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}",
        "applicationId": dice.choice(APPLICATIONS),
        "direction": "outbound",
        "cause": dice.choice(CAUSES) if is_failure else "hangup",
        "sipCallId": f"{dice.randbytes(8).hex()}@192.0.2.10",
    }
    if is_failure:
        found["errorId"] = str(uuid.UUID(bytes=dice.randbytes(16)))
    return found


@contextmanager
def searching(address: str, asked: dict[str, str], rate: float) -> Iterator[dict[str, list[float]]]:
    """Ask one question after the other, by turns as page and as JSON; seconds by each."""
    times: dict[str, list[float]] = {name: [] for name in asked}
    stop = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(address, timeout=60)
        for name in cycle(asked):
            if stop.is_set():
                break
            for path in ("/failures", "/api/v1/failures"):
                began = time.perf_counter()
                connection.request("GET", f"{path}?{asked[name]}")
                answer = connection.getresponse()
                answer.read()
                times[name].append(time.perf_counter() - began)
                assert answer.status == http.HTTPStatus.OK, (name, answer.status)
                stop.wait(max(0.0, began + 1 / rate - time.perf_counter()))
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join()


def percentile(times: list[float], percent: float) -> float:
    """Milliseconds that so many percent were within."""
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))] * 1000


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=200, help="events a second")
    parser.add_argument("--searches", type=float, default=10, help="searches a second, at most")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory(dir=".tools") as temporary:
        known = build(Path(temporary) / "ledger", options.rows)
        asked = questions(known)
        quiet: list[float] = []
        busy: list[float] = []
        logs: list[int] = []
        found: dict[str, list[float]] = {name: [] for name in asked}
        with started(DISK, Path(temporary)) as running:
            assert running.metrics is not None
            before = running.counted()
            for _ in range(options.rounds):
                load = Load(running.address, options.rate)
                time.sleep(options.seconds)
                load.finish()
                quiet += load.times
                load = Load(running.address, options.rate)
                with searching(running.metrics, asked, options.searches) as times:
                    time.sleep(options.seconds)
                load.finish()
                busy += load.times
                logs.append((Path(temporary) / "ledger" / f"{store.FILE}-wal").stat().st_size)
                for name, seconds in times.items():
                    found[name] += seconds
            gained = running.counted() - before
        assert gained == len(quiet) + len(busy), (gained, len(quiet), len(busy))
    results = {
        "rows": options.rows,
        "milliseconds": {
            name: {"median": statistics.median(times) * 1000, "worst": max(times) * 1000}
            for name, times in found.items()
        },
        "events": {
            name: {"events": len(times), **{f"p{p}": percentile(times, p) for p in (50, 95, 99)}}
            for name, times in (("without searches", quiet), ("with searches", busy))
        },
        "searches": sum(map(len, found.values())),
        "log_mb": max(logs) / 1e6,
    }
    print(f"{'among ' + format(options.rows, ','):44}{'median ms':>10}{'worst ms':>10}")
    for name, times in results["milliseconds"].items():
        missed = "" if times["worst"] < PROMISED_MS else f"  not below {PROMISED_MS}"
        print(f"{name:44}{times['median']:10.1f}{times['worst']:10.1f}{missed}")
    print(
        f"\n{results['searches']:,} searches; events at {options.rate}/s, ms from due to answered"
    )
    for name, times in results["events"].items():
        shown = "".join(f"  p{p} {times[f'p{p}']:7.1f}" for p in (50, 95, 99))
        print(f"{name:20}{times['events']:8,}{shown}")
    print(f"write-ahead log after searches: at most {results['log_mb']:.1f} MB")
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
