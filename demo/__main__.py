"""Shows the whole: calls, the exporter, Prometheus with rules, an incident, and its alert.

For the rules a day takes 24 minutes here, so that an incident of a minute and a half is one of an
hour and a half. What they compare it with, nine such days, is made up first.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from bandwidth_voice_exporter.simulate.traffic import Traffic
from demo import past, stage
from demo.backfill import backfill
from demo.watch import Change, changes
from lab.alert_quality import rules as rulefile
from lab.alert_quality.server import Storage
from testkit import programs
from testkit.alertmanager import Alertmanager
from testkit.exporter import MODULE
from testkit.notifications import Notifications
from testkit.ruler import Ruler, alertmanager_config
from testkit.simulator import Simulation

_SCALE = 60
_PAST = 9 * 86_400 // _SCALE  # seconds
_RATE = 600.0  # calls a minute: ten for each of the rules' minutes
_FADES = 150  # seconds after the incident in which its alert must have ended
_NAMES = dict(
    zip(
        (application.application_id for application in APPLICATIONS),
        ("contact-centre", "dialler", "ivr"),
        strict=True,
    )
)
_READ = (catalog.CALLS.name, catalog.SHORT_CALLS.name, catalog.TALK.name, "up")


class Incident(msgspec.Struct, frozen=True):
    """Half of all calls end with ``cause``, ``after`` so many seconds and for ``lasts``."""

    cause: str = "callback-error"
    domain: str = "application"
    after: int = 60
    lasts: int = 90

    @property
    def flag(self) -> str:
        """As the simulator takes it."""
        return f"--incident=cause={self.cause},after={self.after}s,for={self.lasts}s,share=0.5"


def main() -> int:
    """Run until Ctrl-C; with --check until the incident's alert came and went."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="end by itself: 0 if the right alert came and went"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        try:
            return _show(stack, folder, is_check=options.check)
        except KeyboardInterrupt:
            print("\nstopping everything")
            return 0


def _show(stack: ExitStack, folder: Path, *, is_check: bool) -> int:
    started = time.monotonic()
    notifications = stack.enter_context(Notifications())
    manager = None
    if programs.find("prometheus-alertmanager"):
        config = alertmanager_config(
            folder, notifications.url, group_wait="1s", group_interval="5s"
        )
        manager = stack.enter_context(Alertmanager(folder / "alertmanager", config))
    exporter = stack.enter_context(stage.exporter(folder, _NAMES))
    address = manager.address if manager else None
    prometheus = stack.enter_context(stage.prometheus(folder, exporter.ops_address, address))
    begin = stage.first_scrape(prometheus)
    simulated = (folder / "simulator", exporter.webhook_url, f"--rate={_RATE}", "--flat")
    calm = stack.enter_context(Simulation(*simulated))
    _say(
        f"status         {exporter.ops_url}/",
        f"failed calls   {exporter.ops_url}/failures",
        f"metrics        {exporter.ops_url}/metrics",
        f"Prometheus     http://{prometheus.address}/alerts",
        f"Alertmanager   {f'http://{manager.address}' if manager else 'is not installed'}",
        "",
        "making up nine days of 24 minutes each ...",
    )
    rules = _rules(folder)
    _make_up(prometheus, rules, begin)
    prometheus.follow(rules)
    incident = Incident()
    stack.enter_context(Simulation(*simulated, incident.flag))
    calm.process.stop()
    hits = time.time() + incident.after
    _say(
        f"done after {time.monotonic() - started:.0f} s. In {incident.after} s half of all calls "
        f"begin to end with {incident.cause},",
        f"for {incident.lasts} s. Ctrl-C stops everything.",
        "",
    )
    firing = changes(lambda: stage.alerts(prometheus))
    if not is_check:
        for change in firing:
            if change:
                _say(str(change))
    paged = (lambda: bool(notifications.told)) if manager else (lambda: True)
    return _check(firing, incident, hits, paged)


def _rules(folder: Path) -> Path:
    file = folder / "rules.yml"
    command = [*MODULE, "rules", f"--time-scale={_SCALE}"]
    subprocess.run([*command, f"--output={file}"], check=True)
    return file


def _make_up(prometheus: Ruler, rules: Path, end: float) -> None:
    storage = Storage(HTTPConnection(prometheus.address))
    start = int(end) - _PAST
    labels = {"job": stage.JOB, "instance": "the past"}
    traffic = Traffic(rate=_RATE, flat=True)
    storage.write(past.counters(traffic, _NAMES, labels, start * 1000, _PAST))
    backfill(storage, rulefile.load(rules).about(_READ), start)


def _check(
    firing: Iterator[Change | None], incident: Incident, hits: float, paged: Callable[[], bool]
) -> int:
    """Return 0 once an alert that names the right fault domain came, was paged, and went."""
    came: Change | None = None
    for change in firing:
        if change:
            _say(str(change))
            right = change.labels["fault_domain"] == incident.domain
            critical = change.labels["severity"] == "critical"
            if change.fires and critical and not (right and change.at > hits):
                _say("a critical alert that is not the incident's")
                return 1
            if change.fires and critical:
                came = came or change
            elif came and change.labels == came.labels and paged():
                _say(f"told {came.at - hits:.0f} s after the incident began, and its end")
                return 0
        if time.time() > hits + incident.lasts + _FADES:
            _say("no page" if came and not paged() else "no alert that came and went")
            return 1
    raise AssertionError("alerts are looked at without end")


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
