"""The whole chain: calls that fail, counted, judged and told to the right people, until it is over.

Everything runs sixty times as fast: rules with their durations divided, simulated time, and a past
of nine days in less than four hours.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from testkit.alert_cases import runbooks
from testkit.alert_cases.past import past
from testkit.alert_cases.series import JOB
from testkit.alertmanager import Alertmanager
from testkit.exporter import MODULE, Exporter, StartExporter
from testkit.notifications import Notifications, Told
from testkit.prometheus import Job
from testkit.ruler import Ruler, alertmanager_config
from testkit.simulator import Simulation

pytestmark = [pytest.mark.prometheus, pytest.mark.needs("prometheus-alertmanager")]

SCALE = 60
# Seconds: where a busy machine does not answer scrapes, the alert of that mutes others for a while.
PATIENCE = 120
RATE = 20  # calls a simulated minute: as many a second
NAMES = dict(zip(("centre", "dialler", "ivr"), APPLICATIONS, strict=True))
NAMED = [f"--labels.application={app.application_id}={name}" for name, app in NAMES.items()]
SECRETS = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "right"}
# As Bandwidth may send: each event first without the credentials.
ASKING = ("--user=bandwidth:right", "--challenge")
TRAFFIC = ("--flat", f"--rate={RATE}", f"--speed={SCALE}", "--for=10h")
INCIDENT = "--incident=cause=callback-error,after=0s,for=15m,share=0.6,direction=inbound"

REFUSED = "BandwidthVoiceWebhooksRefused"
MISSING, WRONG = "unauthenticated", "unauthorized"
TEN_MINUTES = 10 * 60 / SCALE  # seconds

FAILURES = "BandwidthVoiceApplicationFailures"
SPIKE = "BandwidthVoiceApplicationFailureSpike"  # the runbook


@pytest.fixture
def notifications() -> Iterator[Notifications]:
    """A receiver of what is told."""
    with Notifications() as receiver:
        yield receiver


def scaled_rules(directory: Path) -> Path:
    """The shipped rules, sixty times as fast."""
    file = directory / "scaled.rules.yml"
    command = (
        "--web.external-url=https://ops.internal",
        f"--time-scale={SCALE}",
        f"--output={file}",
    )
    subprocess.run([*MODULE, "rules", *command], check=True)
    return file


def test_incident_is_told_to_those_whose_fault_it_is(
    exporter: StartExporter, notifications: Notifications, tmp_path: Path
) -> None:
    """Events that ask first alarm nobody; failing callbacks page their people once, and end."""
    config = alertmanager_config(
        tmp_path, notifications.url, group_wait="4s", group_interval="1s", repeat_interval="1h"
    )
    running = exporter("--metrics.newborn-hold=2s", *NAMED, env=SECRETS)
    traffic = (*TRAFFIC, *ASKING)
    with (
        Alertmanager(tmp_path / "alertmanager", config) as alertmanager,
        Simulation(tmp_path / "before", running.webhook_url, *traffic) as before,
        Ruler(
            tmp_path / "prometheus",
            Job(JOB, [running.ops_address], "1s"),
            alertmanager=alertmanager.address,
            past=past(RATE, SCALE, {app: name for name, app in NAMES.items()}),
            flags=("--rules.alert.resend-delay=5s",),
        ) as prometheus,
    ):
        prometheus.wait_for_scrapes(JOB, 8)
        prometheus.follow(scaled_rules(tmp_path))
        ready = "direction:bandwidth_voice_baseline_ready:bool == 1"
        prometheus.process.wait_until(
            lambda: len(prometheus.query(ready)) == 2, "baselines", PATIENCE
        )
        assert_calm(running, prometheus)
        calm = time.time()

        with Simulation(tmp_path / "incident", running.webhook_url, *traffic, INCIDENT) as incident:
            incident.process.wait_until(incident.lines, "the first call of the incident")
            before.process.stop()

            [page, *others] = wait_for(notifications, FAILURES, "firing", prometheus)
            assert others == []
            assert (page.path, page.receiver) == ("/page/application", "application-page")
            assert page.labels["job"] == JOB
            assert page.labels["direction"] == "inbound"
            assert page.labels["fault_domain"] == "application"
            assert page.labels["severity"] == "critical"
            assert "callback-error" in page.annotations["description"]
            assert page.annotations["runbook_url"] == f"https://ops.internal/runbooks/{SPIKE}"
            assert page.at > calm

            def is_muted(*, of_one: bool) -> bool:
                states = [
                    alert["status"]["state"]
                    for alert in alertmanager.alerts()
                    if alert["labels"]["alertname"] == FAILURES
                    and alert["labels"]["severity"] == "warning"
                    and ("application" in alert["labels"]) == of_one
                ]
                return "suppressed" in states and "active" not in states

            for of_one in (False, True):
                alertmanager.process.wait_until(
                    partial(is_muted, of_one=of_one), f"the warning muted, of one: {of_one}"
                )
            assert_runbook_helps(prometheus)

            [over] = wait_for(notifications, FAILURES, "resolved", prometheus)
            assert over.path == "/page/application"
            # Alerts that the page muted may be told once it has ended, even before its end is told.
            told = [one for one in notifications.told if calm < one.at < over.ended]
            assert {one.name for one in told} == {FAILURES}, told
            assert incident.process.exit_code is None


def assert_calm(running: Exporter, prometheus: Ruler) -> None:
    """Ten minutes of events that ask first make no alert, no warning, no notice of the page."""
    counted = f'sum(bandwidth_voice_exporter_events_total{{job="{JOB}",result="counted"}})'
    asked = f'bandwidth_voice_exporter_rejected_total{{job="{JOB}",reason="{MISSING}"}}'
    lasted = f"count_over_time(({counted} > 0)[1h:1s]) > {TEN_MINUTES:g}"
    seen = f"{lasted} and on () {asked} > {10 * RATE}"
    prometheus.process.wait_until(lambda: prometheus.query(seen), "ten minutes", PATIENCE)
    firing = f'ALERTS{{job="{JOB}",alertstate="firing"}}'
    on_webhooks = f'ALERTS{{job="{JOB}",alertname=~"BandwidthVoiceWebhooks.*"}}'  # not even pending
    found = prometheus.query(f"max_over_time({firing}[1h]) or max_over_time({on_webhooks}[1h])")
    commits = f'bandwidth_voice_exporter_ledger_commit_seconds_bucket{{job="{JOB}",le'
    slow = prometheus.query(f'{commits}="+Inf"}} - ignoring (le) {commits}=~"1(.0)?"}} > 0')
    down = prometheus.query(f'min_over_time(up{{job="{JOB}"}}[1h]) == 0')
    # On a busy machine commits may be slow and scrapes fail: these alerts may then fire.
    true = {"LedgerSlow": slow, "ExporterDown": down}
    names = {dict(one)["alertname"] for one in found}
    assert names <= {f"BandwidthVoice{name}" for name, seen in true.items() if seen}
    assert [line for line in running.log_lines() if line["level"] != "info"] == []
    status = running.ops.request("GET", "/").text
    assert 'class="warning"' not in status
    assert "None since the start" in status


def test_wrong_and_missing_credentials_page(
    exporter: StartExporter, notifications: Notifications, tmp_path: Path
) -> None:
    """Where only wrong credentials come, or none at all, the platform's people are paged once."""
    config = alertmanager_config(
        tmp_path, notifications.url, group_wait="1s", group_interval="1s", repeat_interval="1h"
    )
    senders = {
        f"{JOB}-{WRONG}": ("--user=bandwidth:wrong", "--challenge"),
        f"{JOB}-{MISSING}": (),
    }
    running = {job: exporter(name=job, env=SECRETS) for job in senders}
    with contextlib.ExitStack() as stack:
        for job, how in senders.items():
            stack.enter_context(
                Simulation(tmp_path / "calls" / job, running[job].webhook_url, *TRAFFIC, *how)
            )
        alertmanager = stack.enter_context(Alertmanager(tmp_path / "alertmanager", config))
        prometheus = stack.enter_context(
            Ruler(
                tmp_path / "prometheus",
                *(Job(job, [one.ops_address], "1s") for job, one in running.items()),
                alertmanager=alertmanager.address,
                flags=("--rules.alert.resend-delay=5s",),
            )
        )
        prometheus.follow(scaled_rules(tmp_path))

        for reason in (WRONG, MISSING):
            job = f"{JOB}-{reason}"
            told = partial(notifications.of, REFUSED, "firing", job=job, severity="critical")
            [page, *more] = prometheus.process.wait_until(told, f"a page of {job}", PATIENCE)
            assert more == []
            assert (page.path, page.labels["reason"]) == ("/page/platform", reason)


def wait_for(notifications: Notifications, name: str, status: str, prometheus: Ruler) -> list[Told]:
    """Wait until something is told of an alert."""
    return prometheus.process.wait_until(
        lambda: notifications.of(name, status),
        f"{name} {status}; so far {notifications.told}",
        PATIENCE,
    )


def assert_runbook_helps(prometheus: Ruler) -> None:
    """Every query of every runbook has an answer, those of this alert's have a result."""
    for file in runbooks.files():
        for query in runbooks.queries(file.read_text("utf-8")):
            found = prometheus.query(query)
            if file.stem == SPIKE:
                assert found, query
