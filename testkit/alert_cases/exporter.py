"""Alerts on the exporter itself."""

from collections.abc import Iterator
from functools import partial

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases.case import Case, Scene, from_least
from testkit.alert_cases.model import STALE, counter, increases, level
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import INSTANCE, JOB, named, scraped
from testkit.alert_cases.settings import CONFIG

_OF_JOB = {"job": JOB}
_OF_INSTANCE = {"job": JOB, "instance": INSTANCE}
_UP = named("up", instance=INSTANCE)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    yield from _presence()
    yield from _webhooks()
    yield from _ledger()
    yield from_least("BandwidthVoiceLabelOverflow", "value over the cap", _overflow)


def _presence() -> Iterator[Case]:
    yield from_least("BandwidthVoiceExporterDown", "minutes down", _down)
    yield from_least("BandwidthVoiceExporterAbsent", "minutes without a target", _lost)
    yield from_least("BandwidthVoiceExporterAbsent", "minutes without any job", _never_there)
    yield from_least("BandwidthVoiceExporterRestarting", "starts in an hour", _restarting)
    for metric, labels in (
        (catalog.CREDENTIALS_LOADED, {}),
        (catalog.WEB_CONFIG_LOADED, {"listener": "webhook"}),
    ):
        series = scraped(metric, **labels)
        yield from_least(
            "BandwidthVoiceConfigurationNotLoaded",
            f"minutes of {metric.name}",
            partial(_gauge_at, 0, series),
        )


def _gauge_at(bad: float, series: str, minutes: int) -> Scene:
    values = level((10, 1 - bad), (minutes, bad), (40, 1 - bad))
    return Scene({series: values}, [value == bad for value in values], _OF_INSTANCE)


def _down(minutes: int) -> Scene:
    return _gauge_at(0, _UP, minutes)


def _lost(minutes: int) -> Scene:
    values = [*level((10, 1)), STALE, *[None] * (minutes - 1), *level((20, 1))]
    holds = [10 <= step < 10 + minutes for step in range(len(values))]
    return Scene({_UP: values}, holds, _OF_JOB, [f"job {JOB} "])


def _never_there(minutes: int) -> Scene:
    values = [*[None] * minutes, *level((20, 1))]
    return Scene({_UP: values}, [value is None for value in values], {}, [f"job {CONFIG.job} "])


def _restarting(starts: int) -> Scene:
    began = [1_000.0] * 10
    for number in range(starts):
        began += [2_000.0 + number] * 4
    began += [began[-1]] * 75
    oldest = 60 if closed() else 59
    changes = [
        sum(began[step] != began[step - 1] for step in range(max(1, now - oldest + 1), now + 1))
        for now in range(len(began))
    ]
    return Scene(
        {named("process_start_time_seconds", instance=INSTANCE): began},
        [number >= CONFIG.exporter.restarts for number in changes],
        _OF_INSTANCE,
        [f" {starts} times"],
    )


def _webhooks() -> Iterator[Case]:
    unauthorized, malformed = (
        f"BandwidthVoiceWebhooks{kind}" for kind in ("Unauthorized", "Malformed")
    )
    yield from_least(unauthorized, "refused of none counted", lambda n: _unauthorized(n, 0))
    yield from_least(unauthorized, "refused of many counted", lambda n: _unauthorized(n, 40))
    yield from_least(malformed, "malformed of few", lambda n: _malformed(n, 0))
    yield from_least(malformed, "malformed of many", lambda n: _malformed(n, 2010))


def _unauthorized(refused: int, counted: int) -> Scene:
    refusals, events = (counter((10, 0), (1, number), (35, 0)) for number in (refused, counted))
    holds = [
        bad > good and bad > CONFIG.exporter.unauthorized_least - 0.3
        for bad, good in zip(
            increases(refusals, 15, closed=closed()),
            increases(events, 15, closed=closed()),
            strict=True,
        )
    ]
    series = {
        scraped(catalog.REJECTED, reason="unauthorized"): refusals,
        scraped(catalog.EVENTS, event_type="disconnect", result="counted"): events,
    }
    return Scene(series, holds, _OF_JOB)


def _malformed(refused: int, others: int) -> Scene:
    refusals, rest = (counter((10, 0), (1, number), (95, 0)) for number in (refused, others))
    limits = CONFIG.exporter
    holds = [
        bad > limits.malformed_share * (bad + good) and bad > limits.malformed_least - 0.3
        for bad, good in zip(
            increases(refusals, 60, closed=closed()),
            increases(rest, 60, closed=closed()),
            strict=True,
        )
    ]
    series = {
        scraped(catalog.REJECTED, reason="malformed"): refusals,
        scraped(catalog.WEBHOOK_REQUESTS, code="400"): refusals,
        scraped(catalog.WEBHOOK_REQUESTS, code="204"): rest,
    }
    return Scene(series, holds, {**_OF_JOB, "reason": "malformed"}, ["the reason malformed"])


def _ledger() -> Iterator[Case]:
    up, in_memory = scraped(catalog.LEDGER_UP), scraped(catalog.LEDGER_IN_MEMORY)
    yield from_least("BandwidthVoiceLedgerFailing", "minutes", lambda n: _gauge_at(0, up, n))
    not_durable = "BandwidthVoiceLedgerNotDurable"
    yield from_least(not_durable, "minutes in memory", lambda n: _gauge_at(1, in_memory, n))
    yield from_least(not_durable, "events not recorded", _not_recorded)
    yield from_least("BandwidthVoiceLedgerSlow", "slow commits", _slow)


def _not_recorded(events: int) -> Scene:
    values = counter((10, 0), (1, events), (75, 0))
    series = {scraped(catalog.LEDGER_NOT_RECORDED): values}
    return Scene(
        series, [number > 0 for number in increases(values, 60, closed=closed())], _OF_INSTANCE
    )


def _slow(commits: int) -> Scene:
    of_all = 1010
    everything, quick = (
        counter((10, 0), (1, number), (45, 0)) for number in (of_all, of_all - commits)
    )
    holds = [
        total > 0 and 1 - fast / total > CONFIG.exporter.slow_commit_share
        for total, fast in zip(
            increases(everything, 10, closed=closed()),
            increases(quick, 10, closed=closed()),
            strict=True,
        )
    ]
    series = {
        scraped(catalog.LEDGER_COMMIT, "count"): everything,
        scraped(catalog.LEDGER_COMMIT, "bucket", le="1.0"): quick,
    }
    return Scene(series, holds, _OF_INSTANCE, [f"{100 * commits / of_all:.3f}"[:5]])


def _overflow(values: int) -> Scene:
    over = counter((10, 0), (1, values), (130, 0))
    series = {scraped(catalog.LABEL_OVERFLOW, label="application"): over}
    holds = [number > 0 for number in increases(over, 60, closed=closed())]
    return Scene(
        series,
        holds,
        {**_OF_JOB, "label": "application"},
        ["because application has as many values as it may: "],
    )
