"""Alerts on the exporter itself, from its own metrics."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import at_least, indented
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import grown, of_job, select, up_to
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import by, on
from bandwidth_voice_exporter.metrics import UNAUTHENTICATED, catalog

_SLOW_SECONDS = 1
_DAY = 86_400  # seconds
# Answers that, beside an event, may follow a request without credentials.
_FOLLOWING = 'reason=~"unauthorized|malformed|too_large|internal"'
_REFUSED = 'reason!~"unauthenticated|unauthorized|path|overload"'
# When the right credentials are gone, and not only rare: none within a window, although before it
# eight would have been expected there. At a call a minute that is told within ten minutes.
_GONE = (("8m", "15m", 10), ("15m", "1h", 32), ("30m", "1h", 16))
# Without so many before: none in the last hour, and not at a time of day that never has any.
_LONG = "1h"
_YESTERDAY = ("2h", "23h")  # the same hour, and half an hour around it


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on the exporter."""
    yield from _presence(config)
    yield from _certificates(config)
    yield from _webhooks(config)
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
            f"{say.VALUE_NUMBER}. What the balancer still sends to one of them is lost."
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
            "certificates and users: what was changed is not in force."
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


def _webhooks(config: Config) -> Iterator[Alert]:
    limits = config.exporter
    least = limits.unauthorized_least
    wrong, missing = (
        at_least(_rejected(config, "15m", f'reason="{reason}"', "reason"), least)
        for reason in ("unauthorized", UNAUTHENTICATED)
    )
    # Strangers try paths and handshakes all day: only where calls came until then.
    path = at_least(_rejected(config, "15m", 'reason="path"', "reason"), least)
    failed = select(catalog.TLS_HANDSHAKE_ERRORS, config.job, 'listener="webhook"')
    handshakes = at_least(grown(failed, "15m"), least)
    elsewhere = f'{path}\nor\nlabel_replace({handshakes}, "reason", "tls", "", "")'
    yield Alert(
        name="BandwidthVoiceWebhooksUnauthorized",
        expr=(
            f"(\n  {wrong}\n  or {on()}\n  {missing}\n)\n"
            f"and {on()} (\n{indented(_none_right(config))}\n)\n"
            f"or {on()}\n(\n{indented(elsewhere)}\n)\n"
            f"and {on()} (\n{indented(_gone(config))}\n)"
        ),
        severity="critical",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="Webhooks are refused, and none is taken any more.",
        description=(
            f'{{{{ if eq $labels.reason "{UNAUTHENTICATED}" }}}}'
            f"{say.VALUE_NUMBER} requests of the last 15 minutes came without credentials, and "
            "none with them followed: nobody entered the credentials at Bandwidth, or a proxy "
            "takes them off."
            '{{ else if eq $labels.reason "path" }}'
            f"{say.VALUE_NUMBER} requests of the last 15 minutes asked for a path that is none, "
            "and no event comes any more: the URL at Bandwidth is wrong, or a proxy changes it."
            '{{ else if eq $labels.reason "tls" }}'
            f"{say.VALUE_NUMBER} TLS handshakes of the last 15 minutes failed, and no event comes "
            "any more: the certificate or its chain is not one that Bandwidth trusts."
            "{{ else }}"
            f"{say.VALUE_NUMBER} requests of the last 15 minutes came with wrong credentials, and "
            "none comes with right ones: they have changed on one side only."
            "{{ end }} Bandwidth does not send these events again: these calls are lost."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
    yield Alert(
        name="BandwidthVoiceWebhooksPartlyUnauthorized",
        expr=at_least(_rejected(config, "1h", 'reason="unauthorized"'), least),
        severity="warning",
        fault_domain="pipeline",
        lasts="5m",
        keep="15m",
        summary="Some webhooks come with wrong credentials.",
        description=(
            f"{say.VALUE_NUMBER} requests of the last hour came with wrong credentials: one of "
            "several pairs is wrong, and its calls are lost, or somebody guesses passwords."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
    yield Alert(
        name="BandwidthVoiceWebhooksPartlyUnauthenticated",
        # The short window lasts as long as the wait: who comes once is gone from it by then.
        expr=(
            f"{_unfollowed(config, '1h', least)}\nand {on()} ({_unfollowed(config, '15m', 1)})\n"
            f"and {on()} {grown(select(catalog.EVENTS, config.job), '1h')} > 0"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="15m",
        keep="15m",
        summary="Some webhooks come without credentials.",
        description=(
            f"{say.VALUE_NUMBER} requests of the last hour came without credentials and were not "
            "followed by one with them, while others are taken: an application or created calls "
            "have none at Bandwidth, and their calls are lost, or a stranger keeps asking."
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
    yield _overload(config)


def _overload(config: Config) -> Alert:
    refused = _rejected(config, "15m", 'reason="overload"')
    limits = config.exporter
    requests = grown(select(catalog.WEBHOOK_REQUESTS, config.job), "15m")
    return Alert(
        name="BandwidthVoiceWebhooksOverload",
        expr=(
            f"{refused}\n> {limits.malformed_share:g} * {requests}\n"
            f"and {at_least(refused, limits.malformed_least)}"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="2m",
        keep="15m",
        summary="The exporter refuses requests because there are too many.",
        description=(
            f"{say.VALUE_NUMBER} requests of the last 15 minutes were refused because there were "
            "more than the exporter takes at once. If Bandwidth sent them, these calls are lost."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )


def _unfollowed(config: Config, window: str, least: int) -> str:
    """Return how many more questions there were than what follows one, where those are many."""
    asked = _rejected(config, window, f'reason="{UNAUTHENTICATED}"')
    events = grown(select(catalog.EVENTS, config.job), window)
    followed = f"({events} + {_rejected(config, window, _FOLLOWING)})"
    share = config.exporter.unfollowed_share
    return f"{asked} - {followed}\n> {share:g} * {followed} + {least - 0.3:g}"


def _none_right(config: Config) -> str:
    """Return the condition that events do not come with right credentials any more."""
    events = select(catalog.EVENTS, config.job)
    window, offset = _YESTERDAY
    idle = f"({grown(events, window, offset=offset)} == 0 and {grown(events, '1d')} > 0)"
    return f"{_gone(config)}\nor\n({grown(events, _LONG)} == 0 unless {idle})"


def _gone(config: Config) -> str:
    """Return the condition that events came until lately, and do not come any more."""
    events = select(catalog.EVENTS, config.job)
    return "\nor\n".join(
        f"{grown(events, window)} == 0\nand {at_least(grown(events, before, offset=window), calls)}"
        for window, before, calls in _GONE
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


def _missed(config: Config) -> Alert:
    missed = select(catalog.RECONCILE_CALLS, config.job, 'verdict=~"missed|recorded"')
    since = f"min({catalog.RECONCILE_MISSED_SINCE.name}{{}} > 0)"
    return Alert(
        name="BandwidthVoiceCallsMissed",
        # After an outage all may have been found before the first scrape: born with them.
        expr=(
            f"sum {by()} (\n  ({missed} unless {missed} offset 1h)\n  or\n"
            f"  increase({missed}[1h])\n) > 0"
        ),
        severity="warning",
        fault_domain="pipeline",
        keep="1h",
        summary="Calls ended of which no webhook told.",
        description=(
            f"Calls that the last hour's comparisons found in Bandwidth's list, and no webhook "
            f"told of: {say.VALUE_NUMBER}. The first ended at "
            f"{say.looked_up(since, ('job',), 'humanizeTimestamp')}."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
