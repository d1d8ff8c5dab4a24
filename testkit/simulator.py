"""The bundled simulator as a program of its own, and the log of what it sent."""

import json
from pathlib import Path
from typing import Any

from testkit.closing import Closing
from testkit.exporter import MODULE, environment
from testkit.process import Process

LogLine = dict[str, Any]


class Simulation(Closing):
    """Starts `simulate` against a webhook URL; leaving the context kills it."""

    def __init__(self, directory: Path, target: str, *args: str) -> None:
        """Run in the directory, where the log of every request and its answer is kept as well."""
        directory.mkdir(parents=True, exist_ok=True)
        number = len(list(directory.glob("*.requests.jsonl")))
        self.log_file = directory / f"{number}.requests.jsonl"
        self.log_file.touch()
        command = [*MODULE, "simulate", "--target", target, "--log-file", str(self.log_file), *args]
        self.process = Process(command, directory, environment(directory))

    def lines(self) -> list[LogLine]:
        """Every complete line of the log so far, in the order written."""
        written = self.log_file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in written if line.endswith("\n")]

    def finish(self, timeout: float = 120) -> list[LogLine]:
        """Wait for its own end, which must be a success, and return the whole log."""
        code = self.process.wait(timeout)
        assert code == 0, self.process.tail()
        return self.lines()

    def close(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()


def simulate(directory: Path, target: str, *args: str, timeout: float = 120) -> list[LogLine]:
    """Run a simulation to its end and return the log of its requests."""
    with Simulation(directory, target, *args) as simulation:
        return simulation.finish(timeout)
