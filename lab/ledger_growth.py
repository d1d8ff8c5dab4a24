"""What a ledger of a million calls costs beside an empty one: start, memory, events a second.

The server runs on one core, wrk on the other; rounds alternate, so that both see the same
machine. Every round ends by comparing /metrics with what was answered.
"""

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.call import CallEnded
from testkit.ended import ended

SCRIPT = Path(__file__).with_name("ended_calls.lua")
CONNECTIONS = 64
UNSAVED = 10_000  # rows that a start has to fold: the most that the exporter leaves
SERVER_CORE, LOAD_CORE = "0", "1"


def call(dice: random.Random, received: int, *, is_failure: bool) -> CallEnded:
    """A row as the exporter would write it."""
    return ended(
        received=received,
        call_id=f"c-{dice.randbytes(4).hex()}-{uuid.UUID(bytes=dice.randbytes(16))}",
        application="04e88489-df02-4e34-a0ee-27a91849555f",
        direction=dice.choice(("inbound", "outbound")),
        cause=dice.choice(("busy", "timeout", "callback-error")) if is_failure else "hangup",
        answered=not is_failure,
        error_id=str(uuid.UUID(bytes=dice.randbytes(16))) if is_failure else None,
        error_message="Call was not answered" if is_failure else None,
        start_time=received - 60_000_000,
        end_time=received,
        delay=20_000,
        setup=None if is_failure else 10_000_000,
        talk=None if is_failure else 50_000_000,
        unanswered=60_000_000 if is_failure else None,
    )


def build(directory: Path, rows: int) -> None:
    """Write a ledger of that many calls, half of them failures, from the last hour."""
    directory.mkdir(parents=True)
    dice = random.Random(rows)
    ledger = Store(directory / store.FILE)
    now = time.time_ns() // 1000
    tally, _ = checkpoint.resume(None, Limits(), {}, now)
    step = 5000
    for first in range(1, rows + 1, step):
        calls = [
            call(dice, now - (rows - row) * 3600, is_failure=row % 2 == 0)
            for row in range(first, min(first + step, rows + 1))
        ]
        ledger.append(first, calls)
        if first + step - 1 <= rows - UNSAVED:
            for one in calls:
                tally.fold(one)
    ledger.save(Saved(max(0, rows - UNSAVED), checkpoint.encode(tally, {})))
    ledger.close()


@contextmanager
def exporter(data: Path) -> Iterator[dict[str, Any]]:
    """Run the exporter on its core; say where it listens and how long it took to be ready."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "bandwidth_voice_exporter"]
    command += ["--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    command += [f"--storage.path={data}", "--log.format=json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stderr is not None
        addresses = {}
        while "webhook" not in addresses:
            line = json.loads(process.stderr.readline())
            if match := re.fullmatch(r"(\w+) listener ready", line["msg"]):
                addresses[match[1]] = line["address"]
        yield {**addresses, "ready": time.perf_counter() - started, "pid": process.pid}
    finally:
        process.terminate()
        process.communicate()


def load(address: str, seconds: int) -> dict[str, Any]:
    """Send calls as fast as they are answered."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    command += ["-s", str(SCRIPT), f"http://{address}/webhooks/voice"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def counted(address: str) -> int:
    """The calls that /metrics shows."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        text = answer.read().decode()
    values = re.findall(r"^bandwidth_voice_calls_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(int(float(value)) for value in values)


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024


def measure(data: Path, seconds: int) -> dict[str, float]:
    """One round on one ledger."""
    with exporter(data) as running:
        before = counted(running["ops"])
        at_start = resident(running["pid"])
        result = load(running["webhook"], seconds)
        time.sleep(1)  # what wrk had in flight at its end may still be counted
        gained = counted(running["ops"]) - before
        assert result["failed"] == 0, result
        assert result["answered"] <= gained <= result["answered"] + CONNECTIONS, (result, gained)
        return {
            "ready_seconds": running["ready"],
            "resident_at_start_mb": at_start / 1e6,
            "resident_mb": resident(running["pid"]) / 1e6,
            "events_per_second": result["answered"] / result["seconds"],
            "p99_ms": result["p99_ms"],
        }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk on PATH (on Debian: apt-get install wrk)")
    with tempfile.TemporaryDirectory(dir=".") as temporary:
        ledgers = {"empty": Path(temporary) / "empty", "grown": Path(temporary) / "grown"}
        build(ledgers["grown"], options.rows)
        rounds: dict[str, list[dict[str, float]]] = {"empty": [], "grown": []}
        for _ in range(options.rounds):
            for name, data in ledgers.items():
                rounds[name].append(measure(data, options.seconds))
            shutil.rmtree(ledgers["empty"])
    medians = {
        name: {key: statistics.median(one[key] for one in results) for key in results[0]}
        for name, results in rounds.items()
    }
    medians["ratio"] = {
        key: medians["grown"][key] / medians["empty"][key] for key in medians["empty"]
    }
    print(f"{'':24}{'empty':>12}{options.rows:>12,}{'ratio':>8}")
    for key in medians["empty"]:
        print(
            f"{key:24}{medians['empty'][key]:12.2f}{medians['grown'][key]:12.2f}"
            f"{medians['ratio'][key]:8.2f}"
        )
    if options.out:
        options.out.write_text(json.dumps({"medians": medians, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
