"""Alerts on the handlers that deliveries are passed on to."""

from collections.abc import Iterator
from functools import partial

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases.case import Case, Scene, from_least
from testkit.alert_cases.model import counter, increases
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import JOB, scraped
from testkit.alert_cases.settings import CONFIG

_ROUTE = "/webhooks/voice"
_LABELS = {"job": JOB, "route": _ROUTE}
_LIMITS = CONFIG.forwards


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, others in (("few", 0), ("many", 1010)):
        yield from_least(
            "BandwidthVoiceForwardFailing",
            f"without an answer of {name}",
            partial(_failing, others),
        )
        yield from_least(
            "BandwidthVoiceForwardSlow",
            f"slow answers of {name}",
            partial(_slow, others),
        )


def _failing(answered: int, failed: int) -> Scene:
    failures, answers = (counter((10, 0), (1, number), (45, 0)) for number in (failed, answered))
    holds = [
        bad > _LIMITS.failed_share * (bad + good) and bad > _LIMITS.failed_least - 0.3
        for bad, good in zip(_grown(failures), _grown(answers), strict=True)
    ]
    series = {
        scraped(catalog.FORWARD_FAILURES, route=_ROUTE, reason="timeout"): failures,
        scraped(catalog.FORWARD_REQUESTS, route=_ROUTE, code="200"): answers,
    }
    return Scene(series, holds, _LABELS, [f"to {_ROUTE} "])


def _slow(quick: int, slow: int) -> Scene:
    everything, in_time = (
        counter((10, 0), (1, number), (45, 0)) for number in (slow + quick, quick)
    )
    holds = [
        total > 0
        and total - fast > _LIMITS.slow_share * total
        and total - fast > _LIMITS.slow_least - 0.3
        for total, fast in zip(_grown(everything), _grown(in_time), strict=True)
    ]
    series = {
        scraped(catalog.FORWARD_SECONDS, "count", route=_ROUTE): everything,
        scraped(catalog.FORWARD_SECONDS, "bucket", route=_ROUTE, le="2.5"): in_time,
    }
    return Scene(series, holds, _LABELS, [f"at {_ROUTE} "])


def _grown(values: list[float]) -> list[float]:
    return increases(values, 15, closed=closed())
