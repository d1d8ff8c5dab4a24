"""Alerts on the exporter itself, from its own metrics."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import grown, of_job, select, up_to
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import by, on
from bandwidth_voice_exporter.metrics import catalog

_SLOW_SECONDS = 1
_DAY = 86_400  # seconds


def presence(config: Config) -> Iterator[Alert]:
    """Yield the alerts on exporters that are not there, or will not be reached."""
    yield from _presence(config)
    yield from _certificates(config)


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on the exporter's work with calls."""
    yield from _ledger(config)
    yield _label_overflow(config)
    yield _missed(config)


def _presence(config: Config) -> Iterator[Alert]:
    up = f"up{{{of_job(config.job)}}}"
    yield Alert(
        name="BandwidthVoiceExporterDown",
        expr=f"{up} == 0\nunless {on()} group {by()} ({up} == 1)",
        severity="critical",
        fault_domain="pipeline",
        lasts="5m",
        summary="The exporter cannot be scraped.",
        description=(
            "Prometheus has not reached {{ $labels.instance }} of {{ $labels.job }} for five "
            "minutes, nor any other: webhooks may be lost, and no other alert on calls can be "
            "trusted."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
    )
    there = f"count {by()} ({up} == 1)"
    yield Alert(
        name="BandwidthVoiceReplicaDown",
        expr=f"quantile_over_time(0.5, ({there})[1d:5m]) - {there}\n> 0.5",
        severity="warning",
        fault_domain="pipeline",
        lasts="10m",
        summary="A replica of the exporter is missing, and others go on.",
        description=(
            f"Replicas of {{{{ $labels.job }}}} that are missing, of those of the last day: "
            f"{say.VALUE_NUMBER}. Events that the balancer still sends to one of them are lost."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
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
            "certificates and users: the changes are not in force."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
    )


def _certificates(config: Config) -> Iterator[Alert]:
    left = f"min {by('instance', 'listener')} ({select(catalog.CERTIFICATE_ENDS, config.job)})"
    for name, severity, days in (
        ("BandwidthVoiceCertificateExpiring", "warning", config.exporter.certificate_days),
        ("BandwidthVoiceCertificateExpired", "critical", config.exporter.certificate_late_days),
    ):
        yield Alert(
            name=name,
            expr=f"{left} - time()\n< {_DAY * days:g}",
            severity=severity,
            fault_domain="pipeline",
            lasts="10m",
            summary="A certificate of the exporter ends, and has not been renewed.",
            description=(
                "The certificate of the {{ $labels.listener }} listener of {{ $labels.instance }} "
                f"({{{{ $labels.job }}}}) ends in {say.VALUE_SECONDS}. From then on Bandwidth "
                "delivers no webhook to that listener, and does not send them again."
            ),
            dashboard=say.dashboard(config.links, say.EXPORTER, "job", "instance"),
        )


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


def _missed(config: Config) -> Alert:
    missed = select(catalog.RECONCILE_CALLS, config.job, 'verdict=~"missed|recorded"')
    since = f"min({catalog.RECONCILE_MISSED_SINCE.name}{{}} > 0)"
    started = f"process_start_time_seconds{{{of_job(config.job)}}}"
    return Alert(
        name="BandwidthVoiceCallsMissed",
        # After an outage all may have been found before the first scrape: born with them. A series
        # of an older process was not born, its scrape of then had failed.
        expr=(
            f"sum {by()} (\n  (\n    {missed}\n"
            f"    and {on('instance')} {started} > time() - 3600\n"
            f"    unless {missed} offset 1h\n  )\n  or\n"
            f"  increase({missed}[1h])\n) > 0"
        ),
        severity="warning",
        fault_domain="pipeline",
        keep="1h",
        summary="Calls ended that no webhook reported.",
        description=(
            f"Calls that the last hour's comparisons found in Bandwidth's list, and no webhook "
            f"reported: {say.VALUE_NUMBER}. The first ended at "
            f"{say.looked_up(since, ('job',), 'humanizeTimestamp')}."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
