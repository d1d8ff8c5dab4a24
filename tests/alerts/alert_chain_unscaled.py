"""The whole chain at its own pace, on a new installation without any history.

`make test ARGS=tests/alerts/alert_chain_unscaled.py` takes half an hour.

Half an hour, so it is not collected with the other tests: absolute limits stand in for what a week
would have taught, the example's timing is as it is shipped, and only addresses are replaced.
"""

from functools import partial
from pathlib import Path

import pytest

from testkit.alert_cases import shipped
from testkit.alertmanager import Alertmanager
from testkit.exporter import StartExporter
from testkit.notifications import Notifications
from testkit.prometheus import Job
from testkit.ruler import Ruler, alertmanager_config
from testkit.simulator import Simulation

pytestmark = [pytest.mark.prometheus, pytest.mark.needs("prometheus-alertmanager")]

JOB = "bandwidth-voice"
FAILURES = "BandwidthVoiceApplicationFailures"
TRAFFIC = ("--flat", "--rate=60", "--for=2h")
INCIDENT = "--incident=cause=callback-error,after=3m,for=8m,share=0.6,direction=inbound"
DETECTED, RESOLVED = 15 * 60, 40 * 60  # seconds, at most


def test_incident_on_a_new_installation(exporter: StartExporter, tmp_path: Path) -> None:
    """Without a baseline failing callbacks page the application's people, until they are over."""
    running = exporter()
    with (
        Notifications() as notifications,
        Alertmanager(
            tmp_path / "alertmanager", alertmanager_config(tmp_path, notifications.url)
        ) as alertmanager,
        Ruler(
            tmp_path / "prometheus",
            Job(JOB, [running.ops_address], "15s", timeout="10s"),
            alertmanager=alertmanager.address,
        ) as prometheus,
        Simulation(tmp_path / "calls", running.webhook_url, *TRAFFIC, INCIDENT),
    ):
        prometheus.follow(shipped.RULES)
        for status, within in (("firing", DETECTED), ("resolved", RESOLVED)):
            [told, *others] = prometheus.process.wait_until(
                partial(notifications.of, FAILURES, status), f"{FAILURES} {status}", within
            )
            assert others == []
            assert told.path == "/page/application"
            assert told.labels["fault_domain"] == "application"
            assert told.labels["direction"] == "inbound"
            ready = "direction:bandwidth_voice_baseline_ready:bool"
            assert set(prometheus.query(ready).values()) == {0}
        pages = {one.name for one in notifications.told if one.path.startswith("/page/")}
        assert pages == {FAILURES}
