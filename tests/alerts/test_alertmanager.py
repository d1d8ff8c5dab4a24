"""The example configuration tells the right people, once, and mutes what says nothing new."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from testkit import programs
from testkit.alert_cases import shipped
from testkit.alertmanager import EXAMPLE, Alertmanager

pytestmark = pytest.mark.needs("prometheus-alertmanager", "amtool")

# Whose fault it is decides who is told, and how severe it is, in which way.
RECEIVERS = {
    ("pipeline", "critical"): "platform-page",
    ("pipeline", "warning"): "platform-ticket",
    ("application", "critical"): "application-page",
    ("application", "warning"): "application-ticket",
    ("account", "critical"): "carrier-page",
    ("account", "warning"): "carrier-ticket",
    ("bandwidth", "critical"): "carrier-page",
    ("bandwidth", "warning"): "carrier-ticket",
    ("user", "warning"): "operations-ticket",
    **{
        (domain, "info"): "digest"
        for domain in ("pipeline", "application", "account", "bandwidth", "user")
    },
}

# Source, target, and the labels in which the two differ where the target is told all the same.
MUTED = (
    ("ExporterAbsent", "ApplicationFailureSpike", {"job": "other"}),
    ("ExporterAbsent", "CallsSilent", {"job": "other"}),
    ("ExporterAbsent", "BaselineMissing", {"job": "other"}),
    ("ExporterDown", "LedgerSlow", {"job": "other"}),
    ("ExporterDown", "ApplicationFailureRise", {"job": "other"}),
    ("ExporterDown", "CallsSilent", {"job": "other"}),
    ("WebhooksUnauthorized", "CallsSilent", {"job": "other"}),
    ("WebhooksUnauthorized", "CallVolumeLow", {"job": "other"}),
    ("WebhooksUnauthorized", "WebhooksPartlyUnauthorized", {"job": "other"}),
    ("WebhooksUnauthorized", "WebhooksPartlyUnauthenticated", {"job": "other"}),
    ("WebhooksUnauthorized", "CallsSilentSinceOpening", {"job": "other"}),
    ("CallsSilent", "CallVolumeLow", {"direction": "outbound"}),
    ("CallsSilentSinceOpening", "CallVolumeLow", {"direction": "outbound"}),
    ("CallsSilent", "ApplicationSilent", {"direction": "outbound"}),
    ("CallsSilent", "AsrLow", {"direction": "outbound"}),
    ("CallsSilent", "AcdCollapsed", {"direction": "outbound"}),
    ("CallsSilent", "ApplicationFailureRise", {"direction": "outbound"}),
    ("ApplicationFailureSpike", "ApplicationFailureRise", {"direction": "outbound"}),
    ("ApplicationFailureSpike", "SingleApplicationFailureSpike", {"direction": "outbound"}),
    ("ApplicationFailureSpike", "LongCalls", {"direction": "outbound"}),
    ("ApplicationFailureSpike", "ErrorBudgetBurn", {"fault_domain": "bandwidth"}),
    ("ApplicationFailureSpike", "AsrLow", {"direction": "outbound"}),
    ("ApplicationFailureSpike", "AcdCollapsed", {"direction": "outbound"}),
    ("ApplicationFailureRise", "SingleApplicationFailureSpike", {"direction": "outbound"}),
    ("ApplicationFailureRise", "ShortCallsRising", {"direction": "outbound"}),
    ("BandwidthFailureSpike", "BandwidthFailureRise", {"direction": "outbound"}),
    ("BandwidthFailureSpike", "AsrLow", {"direction": "outbound"}),
    ("BandwidthFailureRise", "AcdCollapsed", {"direction": "outbound"}),
    ("UndocumentedFailureSpike", "UndocumentedFailureRise", {"direction": "outbound"}),
    ("AccountLimitSpike", "AccountLimitReached", {"direction": "outbound"}),
    ("UserCauseShift", "RejectedCallsRising", {"direction": "outbound"}),
    ("LedgerFailing", "LedgerNotDurable", {"instance": "other:10060"}),
    ("WebhooksUnauthorized", "WebhooksMalformed", {"job": "other"}),
    ("LedgerFailing", "LedgerSlow", {"instance": "other:10060"}),
)
# One is no reason to keep quiet about the other.
TOLD = (
    ("ExporterDown", "ApplicationFailureSpike"),
    ("ExporterDown", "BandwidthFailureSpike"),
    ("ExporterDown", "ExporterAbsent"),
    ("CallsSilent", "ApplicationFailureSpike"),
    ("CallsSilent", "WebhooksLate"),
    ("ApplicationSilent", "ApplicationFailureRise"),
    ("ReplicaDown", "LedgerSlow"),
    ("WebhooksUnauthorized", "ConfigurationNotLoaded"),
    ("ApplicationFailureSpike", "BandwidthFailureSpike"),
    ("ApplicationFailureSpike", "BandwidthFailureRise"),
    ("ApplicationFailureSpike", "CallsSilent"),
    ("ApplicationFailureSpike", "QueueSlow"),
    ("BandwidthFailureSpike", "ApplicationFailureSpike"),
    ("BandwidthFailureSpike", "NewCause"),
    ("BandwidthFailureSpike", "ErrorBudgetBurn"),  # of the application
    ("SingleApplicationFailureSpike", "ApplicationFailureRise"),
    ("LedgerFailing", "ConfigurationNotLoaded"),
    ("AsrLow", "ApplicationFailureRise"),
)

# The labels that an alert's expression leaves on it, beside the job and the rule's own labels.
_DIRECTION = {"direction": "inbound"}
_INSTANCE = {"instance": "exporter:10060"}
_OF_INSTANCE = (
    *("ExporterDown", "ExporterRestarting", "ConfigurationNotLoaded"),
    *("LedgerFailing", "LedgerNotDurable", "LedgerSlow"),
    *("CertificateExpiring", "CertificateExpired"),
)
_OF_JOB = (
    *("ExporterAbsent", "WebhooksPartlyUnauthorized", "WebhooksPartlyUnauthenticated"),
    *("WebhooksLate", "ClockSkewed", "ReplicaDown", "WebhooksOverload"),
)
_LEFT: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(_OF_INSTANCE, _INSTANCE),
    **{name: {} for name in _OF_JOB},
    "WebhooksUnauthorized": {"reason": "unauthorized"},
    "ErrorBudgetBurn": {"fault_domain": "application"},
    "NewCause": {"cause": "sudden-silence"},
    "SingleApplicationFailureSpike": {**_DIRECTION, "application": "support"},
    "ApplicationSilent": {**_DIRECTION, "application": "support"},
    "WebhooksMalformed": {"reason": "malformed"},
    **{
        name: {**_DIRECTION, "cause": cause}
        for name, cause in (
            ("AccountLimitReached", "account-limit"),
            ("CapacityExceeded", "node-capacity-exceeded"),
            ("UserCauseShift", "busy"),
            ("RejectedCallsRising", "rejected"),
            ("AbandonRateHigh", "cancel"),
        )
    },
}


def labels(name: str, job: str, **others: str) -> dict[str, str]:
    """The labels that an alert of the shipped rules has."""
    rule = shipped.alerts()[f"BandwidthVoice{name}"]
    left = _LEFT.get(name, _DIRECTION)
    return {"alertname": str(rule.alert), "job": job, **left, **rule.labels, **others}


def receivers_of(alert: Mapping[str, str]) -> str:
    """Return the receivers of an alert, as amtool names them."""
    pairs = [f"{name}={value}" for name, value in alert.items()]
    command = [programs.path("amtool"), "config", "routes", "test", f"--config.file={EXAMPLE}"]
    result = subprocess.run([*command, *pairs], capture_output=True, text=True, check=True)
    return result.stdout.strip()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """One with the example as it is; cases live side by side in it, as jobs."""
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def muted(
    alertmanager: Alertmanager, alerts: Sequence[Mapping[str, str]]
) -> list[Mapping[str, str]]:
    """Have alerts fire, and return those that are muted, in the same order."""
    # Alertmanager looks at alerts in the order in which they come: once it mutes the last one, it
    # has seen the others.
    last = [labels(name, f"after-{alerts[0]['job']}") for name in ("ExporterAbsent", "CallsSilent")]
    alertmanager.post([*alerts, *last])

    def states() -> dict[frozenset[tuple[str, str]], str]:
        return {
            frozenset(alert["labels"].items()): str(alert["status"]["state"])
            for alert in alertmanager.alerts()
        }

    def is_last_muted() -> bool:
        return states().get(frozenset(last[1].items())) == "suppressed"

    alertmanager.process.wait_until(is_last_muted, "the last alert to be muted")
    # It takes up alerts while it answers, too, and finds the state of one after the other: the
    # answer in which the last is muted first may hold states of before the others were seen.
    known = states()
    return [alert for alert in alerts if known[frozenset(alert.items())] == "suppressed"]


def test_example_is_valid() -> None:
    """amtool has nothing to say against it."""
    command = [programs.path("amtool"), "check-config", str(EXAMPLE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("domain", "severity"), RECEIVERS)
def test_fault_domain_and_severity_choose_the_receiver(domain: str, severity: str) -> None:
    """Each fault domain has its people, and each severity its way to them."""
    alert = {"alertname": "BandwidthVoiceAny", "fault_domain": domain, "severity": severity}
    assert receivers_of(alert) == RECEIVERS[domain, severity]


def test_every_alert_has_somebody() -> None:
    """No shipped alert falls through to the catch-all: each has a fault domain and severity."""
    for name, rule in shipped.alerts().items():
        alert = labels(name.removeprefix("BandwidthVoice"), "bandwidth-voice")
        assert (alert["fault_domain"], rule.labels["severity"]) in RECEIVERS, name


def test_stranger_reaches_somebody() -> None:
    """An alert that the routes do not know has a receiver all the same."""
    assert receivers_of({"alertname": "Watchdog"}) == "platform-ticket"


def test_consequence_is_muted_beside_its_reason(alertmanager: Alertmanager) -> None:
    """Of two alerts on one thing the one that says more is told."""
    for number, (source, target, _) in enumerate(MUTED):
        job = f"muted-{number}"
        pair = [labels(source, job), labels(target, job)]
        assert muted(alertmanager, pair) == pair[1:], (source, target)


def test_alert_elsewhere_is_told(alertmanager: Alertmanager) -> None:
    """An alert does not mute alerts of another job, direction, instance or fault domain."""
    for number, (source, target, elsewhere) in enumerate(MUTED):
        job = f"elsewhere-{number}"
        where = {**elsewhere, "job": f"other-{job}"} if "job" in elsewhere else elsewhere
        pair = [labels(source, job), labels(target, job) | where]
        assert muted(alertmanager, pair) == [], f"{source}, {target}"


def test_different_matters_are_both_told(alertmanager: Alertmanager) -> None:
    """An alert with a reason of its own is not muted by another one."""
    for number, (source, target) in enumerate(TOLD):
        job = f"told-{number}"
        pair = [labels(source, job), labels(target, job)]
        assert pair[1] not in muted(alertmanager, pair), f"{source}, {target}"


def test_no_alert_mutes_itself(alertmanager: Alertmanager) -> None:
    """Every alert that fires alone is told."""
    alerts = [
        labels(name.removeprefix("BandwidthVoice"), f"alone-{number}")
        for number, name in enumerate(sorted(shipped.alerts()))
    ]
    assert muted(alertmanager, alerts) == []


def test_labels_of_jobs_are_in_every_list() -> None:
    """Every `group_by` and `equal` names the job first, so that labels can be added beside it."""
    lists = re.findall(r"^ *(?:group_by|equal): (.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert len(lists) > 15
    assert [one for one in lists if not re.match(r"\[job[],]", one)] == []


def test_environments_are_apart(tmp_path: Path) -> None:
    """With env beside the job, staging's alerts mute none of production's, nor share a group."""
    config = tmp_path / "alertmanager.yml"
    config.write_text(EXAMPLE.read_text("utf-8").replace("[job", "[job, env"), "utf-8")
    fired, of_staging = [], []
    for number, (source, target, _) in enumerate(MUTED):
        job = f"apart-{number}"
        of_staging.append(labels(target, job, env="staging"))
        fired += [
            labels(source, job, env="staging"),
            of_staging[-1],
            labels(target, job, env="production"),
        ]
    with Alertmanager(tmp_path, config) as running:
        assert muted(running, fired) == of_staging

        def grouped() -> list[list[str]]:
            alerts = ([one["labels"] for one in group] for group in running.groups())
            groups = [[one["env"] for one in group if "env" in one] for group in alerts]
            return groups if sum(map(len, groups)) == len(fired) else []

        found = running.process.wait_until(grouped, "all alerts in groups")
    assert [group for group in found if len({*group}) > 1] == []
