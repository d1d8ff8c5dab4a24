"""The cost of a comparison with Bandwidth's list: time, memory, and the delay of events.

A ledger of a day and a list of the same calls, of which webhooks missed one hour and a quarter; the
exporter starts, takes events at a steady pace, and compares meanwhile. In the end every call of the
list is counted, once.
"""

import argparse
import json
import random
import re
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bandwidth_voice_exporter.ledger import FILE
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import CallEnded
from lab.abuse.exporter import percentile
from lab.speed.growth import call
from testkit import call_list
from testkit.call_list import ACCOUNT, CallList, Listed
from testkit.calls import ended_call, iso
from testkit.client import Client
from testkit.exporter import WEBHOOK_PATH, Exporter

_DAY = 24 * 3600
_MISSED = (0.5, 0.55)  # of the calls, in a row
_CALM = 30  # seconds before the comparison begins
_STEP = 5000  # rows in one commit
_MICROS = 10**6


def ended(number: int) -> list[CallEnded]:
    """Calls that ended evenly over the day before the last half hour, one in twenty a failure."""
    dice = random.Random(number)
    until = time.time_ns() // 1000 - 1800 * _MICROS
    pace = _DAY * _MICROS // number
    return [
        call(dice, until - (number - row) * pace, is_failure=row % 20 == 0) for row in range(number)
    ]


def is_missed(row: int, number: int) -> bool:
    """Whether no webhook told of a call."""
    return _MISSED[0] * number <= row < _MISSED[1] * number


def keep(calls: list[CallEnded], directory: Path) -> int:
    """Write a ledger of the calls that webhooks told of; return how many these are."""
    directory.mkdir(parents=True)
    told = [one for row, one in enumerate(calls) if not is_missed(row, len(calls))]
    ledger = Store(directory / FILE)
    tally, _ = checkpoint.resume(None, Limits(), {}, told[0].received)
    for first in range(0, len(told), _STEP):
        ledger.append(first + 1, told[first : first + _STEP])
        while ledger.tidy():
            pass
    for one in told:
        tally.fold(one)
    ledger.save(Saved(len(told), checkpoint.encode(tally, {})))
    ledger.close()
    return len(told)


def fill(listed: CallList, calls: list[CallEnded]) -> None:
    """Put calls into the list; the SDK's model would take minutes for so many."""
    for one in calls:
        start, end = (
            datetime.fromtimestamp((time_ or 0) / _MICROS, UTC)
            for time_ in (one.start_time, one.end_time)
        )
        answer = start + timedelta(seconds=10)
        text = json.dumps(
            {
                "applicationId": one.application,
                "accountId": ACCOUNT,
                "callId": one.call_id,
                "to": "+14155550123",
                "from": "+14155550124",
                "direction": one.direction,
                "state": "disconnected",
                "startTime": start.isoformat(),
                "answerTime": answer.isoformat() if one.answered else None,
                "endTime": end.isoformat(),
                "disconnectCause": one.cause,
                "errorMessage": one.error_message,
                "errorId": one.error_id,
                "lastUpdate": end.isoformat(),
            }
        )
        listed.calls.append(Listed(str(one.call_id), start, start, start, end, text, text))


class Events(threading.Thread):
    """Webhooks at a steady pace, and how long each took, with when it was sent."""

    def __init__(self, address: str, pace: float) -> None:
        super().__init__(daemon=True)
        self.seconds: list[tuple[float, float]] = []
        self.is_over = threading.Event()
        self._client = Client(address)
        self._pace = pace

    def run(self) -> None:
        """Send until it is over, each at its time."""
        dice = random.Random(5)
        due = time.monotonic()
        while not self.is_over.is_set():
            due += self._pace
            time.sleep(max(0.0, due - time.monotonic()))
            now = iso(datetime.now(UTC))
            body = json.dumps(ended_call(dice, startTime=now, endTime=now)).encode()
            answer = self._client.request("POST", WEBHOOK_PATH, body)
            assert answer.status == 204
            self.seconds.append((due, time.monotonic() - due))


def resident(pid: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=430_000)
    parser.add_argument("--rate", type=float, default=20, help="events a second meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, CallList() as listed:
        directory = Path(temporary)
        calls = ended(options.calls)
        told = keep(calls, directory / "exporter" / "data")
        fill(listed, calls)
        missed = len(calls) - told
        del calls
        flags = [*listed.flags, call_list.credentials(directory), "--reconcile.record"]
        flags += ["--storage.retention=7d", "--storage.retention-normal=7d"]
        flags += [f"--metrics.newborn-hold={_CALM}s"]
        with Exporter(directory / "exporter", *flags) as running:
            measure(running, listed, 1 / options.rate, told + missed)


def measure(running: Exporter, listed: CallList, pace: float, number: int) -> None:
    """Wait for the comparison, and say what it cost."""
    events = Events(running.webhook_address, pace)
    events.start()
    while not listed.asked():
        time.sleep(0.05)
    began = time.monotonic()
    before = most = resident(running.process.pid)
    while not any("are compared" in line["msg"] for line in running.log_lines()):
        most = max(most, resident(running.process.pid))
        time.sleep(0.1)
    took = time.monotonic() - began
    events.is_over.set()
    events.join()
    calm = [seconds for due, seconds in events.seconds if due < began]
    meanwhile = [seconds for due, seconds in events.seconds if due >= began]
    counted = sum(
        value
        for (name, _), value in running.metrics().items()
        if name.endswith("voice_calls_total")
    )
    assert counted == number + len(events.seconds), (counted, number, len(events.seconds))
    print(f"calls compared     {number:,} in {took:.0f} s, {len(listed.asked())} requests")
    print(f"memory             {before:.0f} MB before, {most - before:+.0f} MB at most")
    for name, seconds in (("before", calm), ("meanwhile", meanwhile)):
        figures = (percentile(seconds, share) * 1000 for share in (0.5, 0.99))
        shown = ", ".join(f"{figure:.1f}" for figure in figures)
        print(f"p50, p99 {name:9} {shown} ms of {len(seconds):,} events")


if __name__ == "__main__":
    main()
