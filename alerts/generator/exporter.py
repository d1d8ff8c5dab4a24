"""Alerts on the exporter itself, from its own metrics."""

from collections.abc import Iterator

from alerts.generator import annotations as say
from alerts.generator.condition import at_least
from alerts.generator.config import Config
from alerts.generator.metrics import grown, of_job, select, up_to
from alerts.generator.rulefile import Alert
from alerts.generator.series import by, on
from bandwidth_voice_exporter.metrics import catalog

_SLOW_SECONDS = 1
_REFUSED = 'reason!~"unauthorized|path|overload"'


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on the exporter."""
    yield from _presence(config)
    yield from _webhooks(config)
    yield from _ledger(config)
    yield _label_overflow(config)


def _presence(config: Config) -> Iterator[Alert]:
    up = f"up{{{of_job(config.job)}}}"
    yield Alert(
        name="BandwidthVoiceExporterDown",
        expr=f"{up} == 0",
        severity="critical",
        fault_domain="pipeline",
        lasts="5m",
        summary="The exporter cannot be scraped.",
        description=(
            "Prometheus has not reached {{ $labels.instance }} of {{ $labels.job }} for five "
            "minutes: webhooks may be lost, and no other alert on calls can be trusted."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
    )
    yield Alert(
        name="BandwidthVoiceExporterAbsent",
        expr=(
            f"group {by()} (last_over_time({up}[1d]))\nunless {on()} group {by()} ({up})\n"
            f"or\nabsent(last_over_time({up}[1d]))"
        ),
        severity="critical",
        fault_domain="pipeline",
        lasts="10m",
        summary="Prometheus has no exporter to scrape.",
        description=(
            "No target of job {{ with $labels.job }}{{ . }}{{ else }}"
            f"{config.job}{{{{ end }}}} is known to Prometheus: "
            "its configuration or service discovery has lost the exporter."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER),
    )
    yield Alert(
        name="BandwidthVoiceExporterRestarting",
        expr=(
            f"changes(process_start_time_seconds{{{of_job(config.job)}}}[1h])"
            f" >= {config.exporter.restarts}"
        ),
        severity="warning",
        fault_domain="pipeline",
        keep="10m",
        summary="The exporter restarts again and again.",
        description=(
            f"{{{{ $labels.instance }}}} of {{{{ $labels.job }}}} has started {say.VALUE_NUMBER} "
            "times in the last hour."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
    )
    loaded = (
        f"min {by('instance')} ({select(metric, config.job)})"
        for metric in (catalog.CREDENTIALS_LOADED, catalog.WEB_CONFIG_LOADED)
    )
    yield Alert(
        name="BandwidthVoiceConfigurationNotLoaded",
        expr="\nor\n".join(f"{each} == 0" for each in loaded),
        severity="warning",
        fault_domain="pipeline",
        lasts="5m",
        summary="The exporter could not load its credentials or its web configuration.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} goes on with the old credentials, "
            "certificates and users: what was changed is not in force."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
    )


def _webhooks(config: Config) -> Iterator[Alert]:
    limits = config.exporter
    unauthorized = _rejected(config, "15m", 'reason="unauthorized"')
    counted = grown(select(catalog.EVENTS, config.job), "15m")
    yield Alert(
        name="BandwidthVoiceWebhooksUnauthorized",
        expr=(
            f"{unauthorized}\n> {counted}\nand {at_least(unauthorized, limits.unauthorized_least)}"
        ),
        severity="critical",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="Webhooks are refused because their credentials are wrong.",
        description=(
            f"{say.VALUE_NUMBER} requests of the last 15 minutes were refused as unauthorized, "
            "more than were taken: credentials have changed on one side only. "
            "Bandwidth does not send them again: these calls are lost."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
    refused = _rejected(config, "1h", _REFUSED, "reason")
    all_of_hour = grown(select(catalog.WEBHOOK_REQUESTS, config.job), "1h")
    yield Alert(
        name="BandwidthVoiceWebhooksMalformed",
        expr=(
            f"{refused}\n> {on()} group_left ()\n"
            f"{limits.malformed_share:g} * {all_of_hour}\n"
            f"and {at_least(refused, limits.malformed_least)}"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="5m",
        keep="15m",
        summary="Requests on the webhook listener gave no event.",
        description=(
            f"{say.VALUE_NUMBER} requests of the last hour gave no event, by the reason "
            "{{ $labels.reason }}. If Bandwidth sent them, these calls are lost."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )


def _rejected(config: Config, window: str, matcher: str, *labels: str) -> str:
    rejected = select(catalog.REJECTED, config.job, matcher)
    return grown(rejected, window, *labels)


def _ledger(config: Config) -> Iterator[Alert]:
    page = say.dashboard(config.links, say.EXPORTER, "job", "instance")
    yield Alert(
        name="BandwidthVoiceLedgerFailing",
        expr=f"{select(catalog.LEDGER_UP, config.job)} == 0",
        severity="critical",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="The exporter cannot write to its disk.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} counts calls in memory only, because its "
            "ledger cannot be written: they are lost if it stops."
        ),
        dashboard=page,
    )
    not_recorded = select(catalog.LEDGER_NOT_RECORDED, config.job)
    in_memory = select(catalog.LEDGER_IN_MEMORY, config.job)
    yield Alert(
        name="BandwidthVoiceLedgerNotDurable",
        expr=f"increase({not_recorded}[1h]) > 0\nor\n{in_memory} == 1",
        severity="warning",
        fault_domain="pipeline",
        lasts="5m",
        summary="Calls were counted before the disk had them.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} has no storage path, or counted calls in "
            "the last hour that its disk did not have yet: a crash loses them."
        ),
        dashboard=page,
    )
    commits = select(catalog.LEDGER_COMMIT, config.job, sample="count")
    quick = select(catalog.LEDGER_COMMIT, config.job, up_to(_SLOW_SECONDS), sample="bucket")
    yield Alert(
        name="BandwidthVoiceLedgerSlow",
        expr=(
            f"1 - {grown(quick, '10m', 'instance')}\n"
            f"  / {grown(commits, '10m', 'instance')}\n"
            f"> {config.exporter.slow_commit_share:g}"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="5m",
        keep="15m",
        summary="The exporter's disk is slow.",
        description=(
            f"{say.VALUE_SHARE} of the commits of {{{{ $labels.instance }}}} of "
            "{{ $labels.job }} took longer than a second in the last 10 minutes. "
            "Bandwidth gives a webhook up after 15 seconds and does not send it again."
        ),
        dashboard=page,
    )


def _label_overflow(config: Config) -> Alert:
    overflow = select(catalog.LABEL_OVERFLOW, config.job, 'label!="error_id"')
    return Alert(
        name="BandwidthVoiceLabelOverflow",
        expr=f"{grown(overflow, '1h', 'label')} > 0",
        severity="info",
        fault_domain="pipeline",
        keep="1h",
        summary="New label values are counted together as other.",
        description=(
            "Calls of the last hour that were counted under other, because {{ $labels.label }} has "
            f"as many values as it may: {say.VALUE_NUMBER}."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
