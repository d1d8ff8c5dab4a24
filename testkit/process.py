"""A started program that writes its output to files and never outlives its test."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from testkit import leash, waiting
from testkit.closing import Closing

T = TypeVar("T")

_TAIL = 30  # lines of each output file that a failure shows


class Process(Closing):
    """A program in a session of its own; leaving the context kills it and all that it started."""

    def __init__(
        self, command: list[str], directory: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the command in the directory, with this environment only (default: the test's)."""
        self.command = command
        directory.mkdir(parents=True, exist_ok=True)
        number = len(
            list(directory.glob("*.stderr"))
        )  # a program started again here keeps its past
        self.stdout = directory / f"{number}.stdout"
        self.stderr = directory / f"{number}.stderr"
        with self.stdout.open("xb") as stdout, self.stderr.open("xb") as stderr:
            self._popen = subprocess.Popen(
                [sys.executable, "-IS", leash.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=directory,
                env=env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also that of its process group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """Everything it has written so far, standard output first."""
        return self.stdout.read_text(errors="replace") + self.stderr.read_text(errors="replace")

    def tail(self) -> str:
        """The command and the last lines of its output, for a person who reads a failure."""
        state = "still runs" if self.exit_code is None else f"exited with {self.exit_code}"
        shown = [f"{' '.join(self.command)} ({state})"]
        for file in (self.stdout, self.stderr):
            lines = file.read_text(errors="replace").splitlines()
            shown += [f"--- last lines of {file.name} ({len(lines)} in all)", *lines[-_TAIL:]]
        return "\n".join(shown)

    def wait_until(self, probe: Callable[[], T | None], what: str, timeout: float = 20) -> T:
        """Return the probe's first true value; AssertionError on exit or after `timeout` s."""

        def look() -> T | None:
            ended = self.exit_code is not None  # before the probe: its last words count
            found = probe()
            if ended and not found:
                raise AssertionError(f"exited before: {what}")
            return found

        try:
            return waiting.until(look, what, timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.tail()}") from None

    def wait_for_log(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until a line of its output matches the regular expression."""
        line = re.compile(pattern, re.MULTILINE)
        return self.wait_until(
            lambda: line.search(self.output()), f"output with {pattern!r}", timeout
        )

    def wait(self, timeout: float = 20) -> int:
        """Wait for its own end and return the exit code; AssertionError after `timeout` s."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {timeout:g} s\n{self.tail()}") from None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone, not to what it started."""
        self._popen.send_signal(number)

    def stop(self, timeout: float = 20) -> int:
        """Ask it to stop (SIGTERM), wait for its end and return the exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """Kill it (SIGKILL) and everything in its process group, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def close(self) -> None:
        """Kill it if it still runs."""
        self.kill()
