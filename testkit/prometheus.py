"""A real Prometheus on a loopback port that it chose, with its storage in a test's directory."""

import json
import math
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from testkit import programs
from testkit.client import Client
from testkit.closing import Closing
from testkit.process import Process

Labels = frozenset[tuple[str, str]]
Sample = tuple[float, float]  # Unix seconds, value

# Go's garbage collector takes a fifth of promtool's time where memory is as short as by default.
_ROOMY = {**os.environ, "GOGC": "400"}
_ALIGNMENT = 0.005  # seconds: a scrape's timestamp may be moved this far (Prometheus: 2 ms)


def promtool(*args: str, stdin: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run promtool, whatever its exit code."""
    return subprocess.run(
        [programs.path("promtool"), *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=_ROOMY,
    )


@dataclass(frozen=True)
class Job:
    """One entry of scrape_configs; durations as Prometheus writes them (`1s`, `500ms`)."""

    name: str
    targets: Sequence[str]
    interval: str = "1s"
    timeout: str | None = None  # default: the interval
    path: str = "/metrics"
    more: Mapping[str, Any] = field(default_factory=dict)  # scheme, tls_config, basic_auth

    def config(self) -> dict[str, Any]:
        """The entry as Prometheus's configuration file has it."""
        return {
            "job_name": self.name,
            "metrics_path": self.path,
            "scrape_interval": self.interval,
            "scrape_timeout": self.timeout or self.interval,
            "static_configs": [{"targets": list(self.targets)}],
            **self.more,
        }


class Prometheus(Closing):
    """Starts with these jobs and waits until ready; leaving the context kills it.

    A new job is first scraped after up to 5 s: so often does Prometheus look for changed targets.
    """

    def __init__(
        self, directory: Path, *jobs: Job, flags: Sequence[str] = (), port: int = 0
    ) -> None:
        """Keep configuration, storage and log in the directory; port 0 is any that is free."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._write(jobs)
        command = [
            programs.path("prometheus"),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={directory / 'storage'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
            *flags,
        ]
        self.process = Process(command, directory, _ROOMY)
        try:
            listening = r'msg="Listening on".* address="?(127\.0\.0\.1:\d+)'
            self.address = self.process.wait_for_log(listening)[1]
            self._client = Client(self.address)
            self.process.wait_until(self._is_ready, "/-/ready")
        except BaseException:
            self.process.kill()
            raise

    @property
    def _config(self) -> Path:
        return self._directory / "prometheus.json"

    def _write(self, jobs: Sequence[Job]) -> None:
        self._jobs = {job.name: job for job in jobs}
        config = {"scrape_configs": [job.config() for job in jobs]}
        self._config.write_text(json.dumps(config))  # JSON is YAML too

    def _is_ready(self) -> bool:
        return self._client.request("GET", "/-/ready").status == 200

    def configure(self, *jobs: Job) -> None:
        """Scrape these jobs from now on, instead of those before."""
        self._write(jobs)
        answer = self._client.request("POST", "/-/reload")
        assert answer.status == 200, answer.text

    def get(self, path: str, **params: str | float) -> Any:
        """The `data` of an API answer; AssertionError with Prometheus's message if it has none."""
        answer = self._client.request("GET", f"/api/v1/{path}?{urlencode(params)}")
        assert answer.status == 200, answer.text
        return answer.json["data"]

    def query(self, expr: str, time: float | None = None) -> dict[Labels, float]:
        """The value of each series of an instant query, at Unix time `time` or now."""
        return {
            frozenset(series["metric"].items()): float(series["value"][1])
            for series in self._instant(expr, time, "vector")
        }

    def raw_samples(
        self, selector: str, window: str = "1h", time: float | None = None
    ) -> dict[Labels, list[Sample]]:
        """Every stored sample of each series, oldest first, in the window up to `time`."""
        return {
            frozenset(series["metric"].items()): [
                (at, float(value)) for at, value in series["values"]
            ]
            for series in self._instant(f"{selector}[{window}]", time, "matrix")
        }

    def _instant(self, expr: str, time: float | None, kind: str) -> list[dict[str, Any]]:
        params: dict[str, str | float] = {"query": expr}
        if time is not None:
            params["time"] = time
        data = self.get("query", **params)
        assert data["resultType"] == kind, f"{expr} is a {data['resultType']}, not a {kind}"
        result: list[dict[str, Any]] = data["result"]
        return result

    def query_exemplars(self, expr: str, start: float, end: float) -> list[dict[str, Any]]:
        """The exemplars of each series (`seriesLabels`, `exemplars`) between two Unix times."""
        found: list[dict[str, Any]] = self.get("query_exemplars", query=expr, start=start, end=end)
        return found

    def scrapes(self, job: str) -> list[list[float]]:
        """For each target of the job the Unix times at which its successful scrapes began."""
        health = self.raw_samples(f'up{{job="{job}"}}').values()
        times = [[at for at, up in samples if up == 1] for samples in health]
        return times + [[]] * (len(self._jobs[job].targets) - len(times))

    def wait_for_scrapes(self, job: str, n: int, timeout: float = 30) -> None:
        """Wait until each target of the job was scraped successfully `n` times in all."""
        self.process.wait_until(
            lambda: all(len(times) >= n for times in self.scrapes(job)),
            f"{n} successful scrapes of {job}",
            timeout,
        )

    def wait_until_scraped_after(
        self, time: float, job: str | None = None, timeout: float = 30
    ) -> None:
        """Wait until each target (of all jobs or one) was scraped, begun after a Unix time."""
        jobs = self._jobs if job is None else [job]
        self.process.wait_until(
            lambda: all(
                max(times, default=-math.inf) > time + _ALIGNMENT
                for name in jobs
                for times in self.scrapes(name)
            ),
            f"a successful scrape of {', '.join(jobs)} after {time:.3f}",
            timeout,
        )

    def stop(self) -> int:
        """Ask it to stop, wait for its end and return the exit code."""
        return self.process.stop()

    def close(self) -> None:
        """Kill it if it still runs and close the connection."""
        self.process.kill()
        self._client.close()


StartPrometheus = Callable[..., Prometheus]  # the `prometheus` fixture: (*jobs, name=..., flags=())
