"""Two million events through one process: whether memory stays as it is after the first tenth.

A shorter run is looked at from when the exporter remembers as many calls as it ever does.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter.ledger.recent import RECENT
from lab.abuse.exporter import (
    LOAD_CORE,
    WEBHOOK_PATH,
    Report,
    Running,
    exporter,
    needs,
    percentile,
    take_load_core,
    total,
)

_SCRIPT = Path(__file__).parents[1] / "ended_calls.lua"
_CONNECTIONS = 64
_SECONDS = 5  # of one run of wrk; memory is looked at in between and meanwhile
_MOST_BYTES = "16MiB"  # of the ledger, the least: soon reached, and pruned from then on
_MOST_GROWTH = 0.05  # of what is resident after the first tenth
_TENTHS = 10


def load(running: Running) -> "subprocess.Popen[str]":
    """Send calls as fast as they are answered, for a few seconds."""
    host, port = running.webhook
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{_CONNECTIONS}"]
    command += [f"-d{_SECONDS}s", "-s", str(_SCRIPT)]
    command.append(f"http://{host}:{port}{WEBHOOK_PATH}")
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def slope(points: list[tuple[float, float]]) -> float:
    """The least squares' slope."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


def main() -> None:
    """Measure, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    options = parser.parse_args()
    needs("wrk", "taskset")
    take_load_core()
    report = Report("leak", f"{options.events:,} events through one process")
    answered = 0
    points: list[tuple[float, float]] = []  # events answered, MB resident
    with exporter(f"--storage.max-bytes={_MOST_BYTES}", credentials=False) as running:
        while answered < options.events:
            wrk = load(running)
            began = time.monotonic()
            seen = []
            while wrk.poll() is None:
                seen.append((time.monotonic() - began, running.resident()))
                time.sleep(0.5)
            running.scrape(is_prometheus=True)  # as in life
            assert wrk.stdout is not None
            result: dict[str, Any] = json.loads(wrk.stdout.read().splitlines()[-1])
            assert result["failed"] == 0, result
            rate = result["answered"] / _SECONDS
            points += [(answered + rate * min(at, _SECONDS), used) for at, used in seen]
            answered += result["answered"]
        time.sleep(2)
        samples = running.metrics()
        counted = running.counted()
    after = [(events, used) for events, used in points if events > max(answered / _TENTHS, RECENT)]
    base = percentile([used for _, used in after[: len(after) // _TENTHS or 1]], 0.5)
    most = max(used for _, used in after)
    end = percentile([used for _, used in after[-len(after) // _TENTHS :]], 0.5)
    pruned = total(samples, "bandwidth_voice_exporter_ledger_pruned_rows_total")
    growth = most / base - 1
    report.figure("events answered", f"{answered:,}")
    report.figure(
        "events counted",
        f"{counted:,}",
        f"<= answered + {_CONNECTIONS} a run",
        is_met=answered <= counted <= answered + len(points) * _CONNECTIONS,
    )
    report.figure("resident after the first tenth", f"{base:.1f} MB")
    report.figure("resident in the last tenth", f"{end:.1f} MB")
    report.figure(
        "most resident after the first tenth",
        f"{most:.1f} MB ({growth:+.1%})",
        f"<= {_MOST_GROWTH:+.0%}",
        is_met=growth <= _MOST_GROWTH,
    )
    report.figure("slope after the first tenth", f"{slope(after) * 1e6:+.2f} MB/million events")
    report.figure("calls pruned meanwhile", f"{pruned:,.0f}", "> 0", is_met=pruned > 0)
    report.details = {
        "resident_mb": [
            (round(events), round(used, 1)) for events, used in points[:: max(1, len(points) // 50)]
        ],
        "ledger_bytes": total(samples, "bandwidth_voice_exporter_ledger_bytes"),
        "ledger_max_bytes": _MOST_BYTES,
    }
    report.finish()


if __name__ == "__main__":
    main()
