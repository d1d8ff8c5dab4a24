"""An exporter that was down for an hour counts what it missed, and nobody is woken for old calls.

An hour of the rules takes fifteen seconds.
"""

import json
import random
from pathlib import Path

import pytest
import yaml

from bandwidth_voice_exporter.alerts import rules
from testkit import call_list
from testkit.alert_cases.series import JOB
from testkit.alert_cases.settings import CONFIG
from testkit.alertmanager import Alertmanager
from testkit.call_list import CallList
from testkit.exporter import StartExporter
from testkit.listing import calls, listing, told
from testkit.notifications import Notifications
from testkit.prometheus import Job
from testkit.proxy import NOWHERE, Proxy
from testkit.ruler import Ruler, alertmanager_config

pytestmark = [pytest.mark.prometheus, pytest.mark.needs("prometheus-alertmanager")]

SCALE = 240
SCRAPE = "250ms"
TOLD, LOST = 150, 60  # calls
DOWN, MISSED = (f"BandwidthVoice{name}" for name in ("ExporterDown", "CallsMissed"))
FLAGS = (
    "--reconcile.interval=1s",
    "--reconcile.settle=0s",
    "--reconcile.record",
    "--metrics.newborn-hold=1s",
)
_RECONCILED = f'sum(bandwidth_voice_reconciled_calls_total{{job="{JOB}"}})'


def pages(directory: Path) -> Path:
    """The groups of the shipped rules that page or tell of missed calls, so many times as fast."""
    groups = yaml.load(rules.text(CONFIG, SCALE), yaml.CSafeLoader)["groups"]
    told_of = [
        group
        for group in groups
        if any(
            rule.get("labels", {}).get("severity") == "critical" or rule.get("alert") == MISSED
            for rule in group["rules"]
        )
    ]
    file = directory / "scaled.rules.yml"
    file.write_text(json.dumps({"groups": told_of}))  # JSON is YAML too
    return file


def critical(prometheus: Ruler) -> set[str]:
    """The critical alerts that have fired or were about to, since the rules were followed."""
    found = prometheus.query('max_over_time(ALERTS{severity="critical"}[10m])')
    return {dict(one)["alertname"] for one in found}


def wait_for(prometheus: Ruler, query: str, what: str) -> None:
    """Wait until a query has a result."""
    prometheus.process.wait_until(lambda: prometheus.query(query), what, 60)


def test_old_calls_wake_nobody(exporter: StartExporter, tmp_path: Path) -> None:
    """Sixty failed calls of the hour before are told as missed, and as nothing else."""
    dice = random.Random(25)
    with CallList() as listed, Notifications() as notifications:
        flags = (*listed.flags, call_list.credentials(tmp_path), *FLAGS)
        config = alertmanager_config(
            tmp_path, notifications.url, group_wait="1s", group_interval="1s", repeat_interval="1h"
        )
        running = exporter(*flags)
        with (
            Proxy(running.ops_address) as scraped,
            Alertmanager(tmp_path / "alertmanager", config) as alertmanager,
            Ruler(
                tmp_path / "prometheus",
                Job(JOB, [scraped.address], SCRAPE),
                alertmanager=alertmanager.address,
                # Alerts sent before Prometheus finds its Alertmanager, after 5 s, reach nobody.
                flags=("--rules.alert.resend-delay=1s",),
            ) as prometheus,
        ):
            prometheus.wait_for_scrapes(JOB, 2)
            prometheus.follow(pages(tmp_path))
            told(running, listed, calls(dice, TOLD, cause="hangup"))
            wait_for(prometheus, f"{_RECONCILED} == 0", "a scrape")
            running.stop()
            scraped.lead_to(NOWHERE)
            listing(listed, calls(dice, LOST, cause="callback-error"))
            hour = f'count_over_time((up{{job="{JOB}"}} == 0)[15s:{SCRAPE}]) >= 55'
            wait_for(prometheus, hour, "an hour without the exporter")

            listed.may_see = False  # until it was scraped once
            again = exporter(*flags)
            scraped.lead_to(again.ops_address)
            wait_for(prometheus, f"{_RECONCILED} == 0", "a scrape")
            listed.may_see = True
            for event in calls(dice, 5, cause="hangup"):
                assert again.send(event).status == 204
            wait_for(prometheus, f"{_RECONCILED} == {LOST}", "the calls that were missed")
            prometheus.process.wait_until(
                lambda: notifications.of(MISSED, "firing"), f"{MISSED} told", 60
            )
            quarter = f"count_over_time(({_RECONCILED} == {LOST})[4s:{SCRAPE}]) >= 15"
            wait_for(prometheus, quarter, "a quarter of an hour later")
            assert critical(prometheus) == {DOWN}
            assert {one.name for one in notifications.told if "/page/" in one.path} == {DOWN}
