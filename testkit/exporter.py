"""The real exporter as a program of its own, on two loopback ports that it chose."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from testkit.client import Answer, Client
from testkit.closing import Closing
from testkit.process import Process

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

MODULE = (sys.executable, "-m", "bandwidth_voice_exporter")
WEBHOOK_PATH = "/webhooks/voice"
TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

# The last ones say that this is a part of `make coverage`.
_WATCHED = "COVERAGE_PROCESS_CONFIG"
_KEPT = re.compile(f"PATH$|PYTHONPATH$|{_WATCHED}$")

# Not where the system keeps state: tests look into it.
_PATH = "BANDWIDTH_VOICE_EXPORTER_STORAGE_PATH"

_DEFAULTS = (
    "--webhook.listen-address=127.0.0.1:0",
    "--web.listen-address=127.0.0.1:0",
    "--log.format=json",
)


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The program's environment, of the test's: next to nothing, and `extra`."""
    kept = {name: text for name, text in os.environ.items() if _KEPT.match(name)}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", _PATH: "data", **(extra or {})}


def ran(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a directory, to its end."""
    return subprocess.run(
        [*MODULE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=directory,
        env=environment(directory),
    )


def parse(answer: Answer) -> Samples:
    """The samples of a /metrics answer by name and labels, read as its content type says."""
    is_openmetrics = answer.headers.get_content_type() == "application/openmetrics-text"
    read = (
        openmetrics.text_string_to_metric_families
        if is_openmetrics
        else parser.text_string_to_metric_families
    )
    samples: Samples = {}
    for family in read(answer.text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"twice in one scrape: {key}"
            samples[key] = sample.value
    return samples


class Exporter(Closing):
    """Runs in the directory, where its data/ is then too; ready once it is constructed."""

    def __init__(
        self,
        directory: Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 20,
        program: Sequence[str] = MODULE,
    ) -> None:
        """Arguments take the place of the testkit's own."""
        given = {argument.partition("=")[0] for argument in args}
        defaults = [one for one in _DEFAULTS if one.partition("=")[0] not in given]
        command = [*program, *defaults, *args]
        seen = environment(directory, env)
        if "--ledger.url" in given:
            del seen[_PATH]
        self.process = Process(command, directory, seen)
        try:
            self.ops_address = self._address("ops", timeout)
            self.webhook_address = self._address("webhook", timeout)
        except BaseException:
            self.process.kill()
            raise
        self.ops = Client(self.ops_address)
        self.webhook = Client(self.webhook_address)

    @property
    def webhook_url(self) -> str:
        """The URL that events go to, at the default path."""
        return f"http://{self.webhook_address}{WEBHOOK_PATH}"

    @property
    def ops_url(self) -> str:
        """The ops listener, without a path."""
        return f"http://{self.ops_address}"

    def log_lines(self) -> list[dict[str, Any]]:
        """Every complete line of the log; an AssertionError shows one that is not JSON."""
        lines = []
        for line in self.process.stderr.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    raise AssertionError(f"not a JSON log line: {line!r}") from None
        return lines

    def wait_for_line(
        self, wanted: Callable[[dict[str, Any]], bool], what: str, timeout: float = 20
    ) -> dict[str, Any]:
        """Wait for a line of the log that is wanted and return it."""

        def look() -> dict[str, Any] | None:
            return next(filter(wanted, self.log_lines()), None)

        return self.process.wait_until(look, what, timeout)

    def send(self, event: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
        """Deliver one event as Bandwidth does: a POST with a JSON body."""
        return self.send_bytes(json.dumps(event).encode(), headers)

    def send_bytes(
        self, body: bytes, headers: Mapping[str, str] | None = None, path: str = WEBHOOK_PATH
    ) -> Answer:
        """POST any bytes to the webhook listener as JSON."""
        return self.webhook.request(
            "POST", path, body, {"Content-Type": "application/json", **(headers or {})}
        )

    def scrape(self, accept: str = TEXT, *, scrape: bool = False, path: str = "/metrics") -> Answer:
        """GET /metrics as a person does, or with `scrape` as Prometheus does."""
        headers = {"Accept": accept}
        if scrape:
            headers["X-Prometheus-Scrape-Timeout-Seconds"] = "10"
        answer = self.ops.request("GET", path, headers=headers)
        assert answer.status == 200, answer
        return answer

    def metrics(self, accept: str = TEXT, *, scrape: bool = False) -> Samples:
        """The samples that /metrics shows now, by name and labels."""
        return parse(self.scrape(accept, scrape=scrape))

    def stop(self, timeout: float = 20) -> int:
        """Ask it to stop (SIGTERM), wait for its end and return the exit code."""
        return self.process.stop(timeout)

    def kill(self) -> None:
        """Kill it without warning (SIGKILL)."""
        self.process.kill()

    def close(self) -> None:
        """Close the connections, and kill it if it still runs.

        As a part of `make coverage` it is asked to stop first: one that is killed tells nothing.
        """
        self.webhook.close()
        self.ops.close()
        if _WATCHED in os.environ and self.process.exit_code is None:
            with contextlib.suppress(AssertionError):
                self.stop()
        self.kill()

    def _address(self, listener: str, timeout: float) -> str:
        ready = f"{listener} listener ready"
        line = self.wait_for_line(lambda line: line.get("msg") == ready, repr(ready), timeout)
        return str(line["address"])


StartExporter = Callable[
    ..., Exporter
]  # the `exporter` fixture: (*args, name="exporter", env=None, program=MODULE)
