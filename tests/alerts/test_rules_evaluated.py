"""A real Prometheus evaluates the rules, each without an error, whatever there is to read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter import handouts
from testkit import prometheus as prom
from testkit import rulefile
from testkit.exporter import StartExporter
from testkit.simulator import simulate

pytestmark = pytest.mark.prometheus

_TIME_SCALE = 60
# The alerts that fire with exporters that keep nothing and have no past.
_EXPECTED = {"BandwidthVoiceBaselineMissing", "BandwidthVoiceLedgerNotDurable"}


class Ruled(prom.Prometheus):
    """A Prometheus with the rules, a minute of which takes a second."""

    def _write(self, jobs: Sequence[prom.Job]) -> None:
        super()._write(jobs)
        output = self._config.with_name("voice.rules.yml")
        handouts.main(["rules", f"--output={output}", f"--time-scale={_TIME_SCALE}"])
        config = json.loads(self._config.read_text())
        self._config.write_text(json.dumps({**config, "rule_files": [str(output)]}))

    def evaluated(self) -> list[dict[str, Any]]:
        """Every rule, once each of them was evaluated."""

        def rules() -> list[dict[str, Any]]:
            groups = self.get("rules")["groups"]
            return [rule for group in groups for rule in group["rules"]]

        self.process.wait_until(
            lambda: all(rule["health"] != "unknown" for rule in rules()), "all rules evaluated", 60
        )
        return rules()

    def known(self, series: int) -> dict[prom.Labels, float] | None:
        """Whether there is a baseline, by job and direction, once that many say so."""
        found = self.query("direction:bandwidth_voice_baseline_ready:bool")
        return found if len(found) >= series else None


def assert_well(evaluated: list[dict[str, Any]]) -> None:
    """No rule failed, and none is missing."""
    assert [rule["lastError"] for rule in evaluated if rule["health"] != "ok"] == []
    assert len(evaluated) == len(rulefile.rules())


def firing(evaluated: list[dict[str, Any]]) -> set[str]:
    """The names of the alerts that fire."""
    return {rule["name"] for rule in evaluated if rule.get("state") == "firing"}


def test_without_any_exporter(tmp_path: Path) -> None:
    """With nothing to scrape every rule is evaluated without an error."""
    with Ruled(tmp_path / "prometheus") as server:
        assert_well(server.evaluated())


def test_idle_and_busy(exporter: StartExporter, tmp_path: Path) -> None:
    """From the first scrape of two idle replicas to traffic, no rule fails and no alert pages."""
    replicas = [exporter(name=name) for name in ("a", "b")]
    alone = exporter(name="c")
    jobs = (
        prom.Job("bandwidth-voice", [one.ops_address for one in replicas], timeout="1s"),
        prom.Job("bandwidth-voice-lab", [alone.ops_address], timeout="1s"),
    )
    with Ruled(tmp_path / "prometheus", *jobs) as server:
        server.wait_for_scrapes("bandwidth-voice", 1)
        assert_well(server.evaluated())
        for name, one in (("a", replicas[0]), ("b", replicas[1]), ("c", alone)):
            directory = tmp_path / f"simulation-{name}"
            simulate(
                directory,
                one.webhook_url,
                "--events=500",
                "--flat",
                "--rate=6000",
                "--speed=100",
                "--seed=1",
            )
        server.wait_for_scrapes("bandwidth-voice", 8)
        # Two directions of two jobs: each is told apart from the others.
        ready = server.process.wait_until(lambda: server.known(4), "every job's readiness", 60)
        assert {*ready.values()} == {0.0}
        assert {dict(labels)["job"] for labels in ready} == {job.name for job in jobs}
        evaluated = server.evaluated()
        assert_well(evaluated)
        assert firing(evaluated) <= _EXPECTED
