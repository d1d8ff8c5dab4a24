"""Alerts on the handlers that deliveries are passed on to."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import at_least
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import grown, select, up_to
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.metrics import catalog

_SLOW_SECONDS = 2.5  # a bucket's bound; Bandwidth gives up at 15 s


def alerts(config: Config) -> Iterator[Alert]:
    """Yield them: none has a series where nothing is passed on."""
    page = say.dashboard(config.links, say.EXPORTER, "job")
    limits = config.forwards
    failed = grown(select(catalog.FORWARD_FAILURES, config.job), "15m", "route")
    answered = grown(select(catalog.FORWARD_REQUESTS, config.job), "15m", "route")
    yield Alert(
        name="BandwidthVoiceForwardFailing",
        expr=(
            f"{failed} / ({failed} + {answered})\n"
            f"> {limits.failed_share:g}\n"
            f"and {at_least(failed, limits.failed_least)}"
        ),
        severity="critical",
        fault_domain="application",
        lasts="1m",
        keep="5m",
        summary="A webhook handler does not answer.",
        description=(
            f"{say.VALUE_SHARE} of the requests of the last 15 minutes to {{{{ $labels.route }}}} "
            "got no answer from their handler. Calls that wait for BXML end with callback-error; "
            "the exporter counts all of them nevertheless."
        ),
        dashboard=page,
    )
    quick = grown(
        select(catalog.FORWARD_SECONDS, config.job, up_to(_SLOW_SECONDS), sample="bucket"),
        "15m",
        "route",
    )
    whole = grown(select(catalog.FORWARD_SECONDS, config.job, sample="count"), "15m", "route")
    yield Alert(
        name="BandwidthVoiceForwardSlow",
        expr=(
            f"1 - {quick} / {whole}\n"
            f"> {limits.slow_share:g}\n"
            f"and {at_least(f'{whole} - {quick}', limits.slow_least)}"
        ),
        severity="warning",
        fault_domain="application",
        lasts="5m",
        keep="10m",
        summary="A webhook handler is slow.",
        description=(
            f"{say.VALUE_SHARE} of the answers of the last 15 minutes at {{{{ $labels.route }}}} "
            "took more than 2.5 seconds. Callers hear silence meanwhile, and beyond 15 seconds "
            "Bandwidth ends their calls with callback-error."
        ),
        dashboard=page,
    )
