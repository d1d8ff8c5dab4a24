"""Alerts on webhooks that are refused or late: their calls are lost, or reported too late."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import at_least, indented
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import grown, select, up_to
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import on
from bandwidth_voice_exporter.metrics import UNAUTHENTICATED, catalog

_SOON_SECONDS = 5
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
    """Yield the alerts on webhooks that are refused."""
    limits = config.exporter
    least = limits.unauthorized_least
    yield _none_taken(config)
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
        # The short window lasts as long as the wait: a single visit has left it by then.
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


def _none_taken(config: Config) -> Alert:
    least = config.exporter.unauthorized_least
    wrong, missing = (
        at_least(_rejected(config, "15m", f'reason="{reason}"', "reason"), least)
        for reason in ("unauthorized", UNAUTHENTICATED)
    )
    # Strangers try paths and handshakes all day: only where calls came until then.
    path = at_least(_rejected(config, "15m", 'reason="path"', "reason"), least)
    failed = select(catalog.TLS_HANDSHAKE_ERRORS, config.job, 'listener="webhook"')
    handshakes = at_least(grown(failed, "15m"), least)
    elsewhere = f'{path}\nor\nlabel_replace({handshakes}, "reason", "tls", "", "")'
    return Alert(
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
    """Return how many more questions there were than events after one, if they are many."""
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


def late(config: Config) -> Iterator[Alert]:
    """Yield the alerts on webhooks that come late."""
    flow = config.flow

    def within(window: str, seconds: int) -> str:
        bucket = select(catalog.DELAY, config.job, up_to(seconds), sample="bucket")
        return grown(bucket, window)

    def all_in(window: str) -> str:
        count = select(catalog.DELAY, config.job, sample="count")
        return grown(count, window)

    yield Alert(
        name="BandwidthVoiceWebhooksLate",
        expr=(
            f"1 - {within('15m', flow.late_seconds)}\n  / {all_in('15m')}\n"
            f"> {flow.late_share:g}\n"
            f"and {at_least(all_in('15m'), 20)}\n"
            f"unless {_skewed(within('1h', _SOON_SECONDS), all_in('1h'))}"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="10m",
        keep="5m",
        summary="Webhooks arrive late.",
        description=(
            f"{say.VALUE_SHARE} of the webhooks of the last 15 minutes came more than "
            f"{flow.late_seconds} seconds after their event: other alerts on calls are late too."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
    yield Alert(
        name="BandwidthVoiceClockSkewed",
        expr=_skewed(within("1h", _SOON_SECONDS), all_in("1h")),
        severity="warning",
        fault_domain="pipeline",
        lasts="10m",
        summary="Every webhook seems to arrive late: check the clock.",
        description=(
            f"None of the {say.VALUE_NUMBER} webhooks of the last hour came within "
            f"{_SOON_SECONDS} seconds of its event: the exporter's clock is ahead, or all "
            "deliveries are delayed."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )


def _skewed(soon: str, everything: str) -> str:
    return f"({at_least(everything, 20)} and {soon} == 0)"
