"""A real Prometheus that evaluates rules, tells an Alertmanager, and remembers a made-up past."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from testkit.alertmanager import EXAMPLE
from testkit.prometheus import Job, Prometheus, promtool

Past = Mapping[str, Iterable[tuple[float, float]]]  # by series: Unix seconds and values


class Ruler(Prometheus):
    """Scrapes at once, evaluates rules from the moment that it is given some."""

    def __init__(
        self,
        directory: Path,
        *jobs: Job,
        alertmanager: str | None,
        past: Past | None = None,
        flags: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        """``alertmanager`` is its address; ``past`` ends before now."""
        self._alertmanager = alertmanager
        self._rules: Path | None = None
        if past:
            directory.mkdir(parents=True, exist_ok=True)
            _remember(directory, past)
        super().__init__(directory, *jobs, flags=flags, port=port)

    def follow(self, rules: Path) -> None:
        """Evaluate a rule file from now on."""
        self._rules = rules
        self.configure(*self._jobs.values())

    def _write(self, jobs: Sequence[Job]) -> None:
        super()._write(jobs)
        config = json.loads(self._config.read_text())
        if self._alertmanager:
            config["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": [self._alertmanager]}]}]
            }
        if self._rules:
            config["rule_files"] = [str(self._rules)]
        self._config.write_text(json.dumps(config))


def alertmanager_config(directory: Path, receiver: str, **timing: str) -> Path:
    """Return the example with a receiver's address, and each route's timing replaced."""
    text = EXAMPLE.read_text("utf-8").replace("https://alerts.example.com", receiver)
    config: dict[str, Any] = yaml.safe_load(text)

    def retime(route: dict[str, Any]) -> None:
        route.update(timing)
        for child in route.get("routes", ()):
            retime(child)

    retime(config["route"])
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def _remember(directory: Path, past: Past) -> None:
    file = directory / "past.txt"
    with file.open("w") as lines:
        for series, samples in past.items():
            for at, value in samples:
                lines.write(f"{series} {value!r} {at:.3f}\n")
        lines.write("# EOF\n")
    result = promtool(
        *("tsdb", "create-blocks-from", "openmetrics", "--quiet"),
        *(str(file), str(directory / "storage")),
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
