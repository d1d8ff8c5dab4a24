"""Incidents that a running simulation is told of."""

import io
import os
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.control import Control
from bandwidth_voice_exporter.simulate.incident import Incident
from bandwidth_voice_exporter.simulate.traffic import Traffic, calls
from testkit import waiting
from testkit.exporter import MODULE, StartExporter
from testkit.simulator import Simulation

TOLD = 300.0  # simulated seconds
CAUSE = "new-trouble"
TRAFFIC = Traffic(seed=8, rate=600.0, flat=True, transfer_share=0.0)


class Telling:
    """Simulated traffic that tells its control the moment of each call."""

    def __init__(self) -> None:
        self.now = 0.0
        self.out = io.StringIO()
        self.incidents: list[Incident] = []
        self.control = Control(self.incidents, lambda: self.now, self.out)

    def calls(self) -> Iterator[Call]:
        """Yield the calls of simulated 1,000 seconds."""
        for call in takewhile(lambda one: one.end < 1000.0, calls(TRAFFIC, self.incidents)):
            self.now = call.end
            yield call


def test_a_line_begins_an_incident_and_calm_ends_it() -> None:
    """From the line on, its share of the calls that start gets the cause, until calm."""
    telling = Telling()
    found: list[Call] = []
    is_told = is_calm = False
    for call in telling.calls():
        found.append(call)
        if call.end >= TOLD and not is_told:
            telling.control.hear(b"cause=new-trouble,for=1h,share=0.5\n")
            is_told = True
        if call.end >= 2 * TOLD and not is_calm:
            telling.control.hear(b"calm\n")
            is_calm = True
    struck = [call for call in found if call.cause == CAUSE]
    inside = [call for call in found if TOLD + 5 <= call.start < 2 * TOLD - 60]
    assert all(TOLD <= call.start < 2 * TOLD + 1 for call in struck)
    share = sum(call.cause == CAUSE for call in inside) / len(inside)
    assert share == pytest.approx(0.5, abs=0.05)


def test_traffic_that_is_told_of_nothing_is_as_it_was() -> None:
    """A control without lines changes no call, and neither does a line that is wrong."""
    telling = Telling()
    telling.control.hear(b"cause=busy\nfoo\n" + b"x" * 10_000 + b"\n\n")
    usual = takewhile(lambda one: one.end < 1000.0, calls(TRAFFIC))
    assert [one.call_id for one in telling.calls()] == [one.call_id for one in usual]
    said = telling.out.getvalue().splitlines()
    assert len(said) == 3
    assert said[0].startswith("control: for, share missing")


def test_an_incident_told_in_pieces_and_for_later() -> None:
    """A line may come in parts, and with after= its incident begins that much later."""
    telling = Telling()
    telling.now = 50.0
    for part in (b"cause=busy,aft", b"er=10s,for=30s,sha", b"re=1,direction=inbound", b"\n"):
        telling.control.hear(part)
    assert telling.incidents == [
        Incident(cause="busy", after=60.0, lasts=30.0, share=1.0, direction="inbound")
    ]


def test_a_running_simulation_is_told_through_a_named_pipe(
    exporter: StartExporter, tmp_path: Path
) -> None:
    """An incident written into the pipe begins in the running simulation, and calm ends it."""
    receiver = exporter()
    pipe = tmp_path / "control"
    os.mkfifo(pipe)
    flags = ("--rate=3000", "--flat", f"--control={pipe}")

    def struck() -> float:
        counted = receiver.metrics().items()
        name = "bandwidth_voice_calls_total"
        return sum(n for (one, has), n in counted if one == name and ("cause", CAUSE) in has)

    with Simulation(tmp_path / "simulation", receiver.webhook_url, *flags) as simulation:
        simulation.process.wait_until(lambda: len(simulation.lines()) > 20, "calls")
        assert not struck()
        pipe.write_text(f"cause={CAUSE},for=5m,share=1\n")
        waiting.until(struck, "the incident", 20)
        pipe.write_text("calm\n")
        simulation.process.wait_for_log("calm: no incident")
        assert simulation.process.stop() == 0


@pytest.mark.program
def test_a_file_that_cannot_be_waited_for_is_refused(tmp_path: Path) -> None:
    """A control that is no pipe ends the command with 2 and a sentence."""
    file = tmp_path / "control"
    file.touch()
    for told, reason in ((file, "named pipe"), (tmp_path / "none", "No such file")):
        command = [*MODULE, "simulate", f"--control={told}", "--events=1"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert run.returncode == 2
        assert reason in run.stderr
        assert "Traceback" not in run.stderr
