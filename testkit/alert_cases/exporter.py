"""Alerts on the exporter itself."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases.case import Case, Scene, from_least, from_most
from testkit.alert_cases.model import STALE, counter, increase, increases, level
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import INSTANCE, JOB, named, scraped
from testkit.alert_cases.settings import CONFIG

_OF_JOB = {"job": JOB}
_OF_INSTANCE = {"job": JOB, "instance": INSTANCE}
_GONE = ((8, 15, 10), (15, 60, 32), (30, 60, 16))  # minutes without, minutes before, calls in them
_UP = named("up", instance=INSTANCE)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    yield from _presence()
    yield from _webhooks()
    yield from _ledger()
    yield from_least("BandwidthVoiceLabelOverflow", "value over the cap", _overflow)
    yield from_least("BandwidthVoiceCallsMissed", "call without a webhook", _missed)


def _presence() -> Iterator[Case]:
    yield from_least("BandwidthVoiceExporterDown", "minutes down", _down)
    yield from_least("BandwidthVoiceExporterAbsent", "minutes without a target", _lost)
    yield from_least("BandwidthVoiceExporterAbsent", "minutes without any job", _never_there)
    yield from_least("BandwidthVoiceReplicaDown", "minutes of one of two", _one_of_two)
    for kind, days in (
        ("Expiring", CONFIG.exporter.certificate_days),
        ("Expired", CONFIG.exporter.certificate_late_days),
    ):
        yield from_least(
            f"BandwidthVoiceCertificate{kind}", f"minutes below {days:g} days", _ends(days)
        )
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


def _one_of_two(minutes: int) -> Scene:
    other = level((200, 1), (minutes, 0), (30, 1))
    given = {_UP: level((len(other), 1)), named("up", instance="other:10060"): other}
    return Scene(given, [not up for up in other], _OF_JOB, [f"Replicas of {JOB} "])


def _ends(days: float) -> Callable[[int], Scene]:
    """A certificate of so many days and 50 minutes, renewed so many minutes after those."""

    def scene(minutes: int) -> Scene:
        ends = days * 86_400 + 50 * 60
        values = level((50 + minutes, ends), (30, ends + 90 * 86_400))
        holds = [end - 60 * step < days * 86_400 for step, end in enumerate(values)]
        series = {scraped(catalog.CERTIFICATE_ENDS, listener="webhook"): values}
        return Scene(series, holds, {**_OF_INSTANCE, "listener": "webhook"}, ["webhook listener"])

    return scene


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
    unauthorized, partly, malformed = (
        f"BandwidthVoiceWebhooks{kind}"
        for kind in ("Unauthorized", "PartlyUnauthorized", "Malformed")
    )
    for reason in ("unauthenticated", "unauthorized"):
        yield from_least(
            unauthorized, f"{reason} and none ever counted", partial(_never_right, reason)
        )
        yield from_least(
            unauthorized, f"{reason} after a call a minute", partial(_right_until, reason, 30, 1)
        )
        # Somebody guesses, or Bandwidth asks first: the minutes without an event make the alert.
        yield from_least(
            unauthorized, f"{reason} beside a call a minute", partial(_right_until, reason, 30, 20)
        )
    yield from_least(unauthorized, "beside a call in three minutes", partial(_rare, 3))
    yield from_least(unauthorized, "beside a call in twenty minutes", partial(_rare, 20))
    yield from_most(unauthorized, "hours after the last call of yesterday", _at_night, high=12)
    yield from_least(partly, "wrong ones beside many counted", _one_pair)
    unasked = "BandwidthVoiceWebhooksPartlyUnauthenticated"
    yield from_least(unasked, "without, beside events that ask first", partial(_surplus, 2))
    yield from_least(unasked, "without, beside many events that ask first", partial(_surplus, 600))
    yield from_least(unasked, "minutes of a visitor beside events", _visitor)
    for reason in ("path", "tls"):
        yield from_least(unauthorized, f"{reason} after calls", partial(_elsewhere, reason))
    overload = "BandwidthVoiceWebhooksOverload"
    yield from_least(overload, "refused of few", lambda n: _overload(n, 0))
    yield from_least(overload, "refused of many", lambda n: _overload(n, 2010))
    yield from_least(malformed, "malformed of few", lambda n: _malformed(n, 0))
    yield from_least(malformed, "malformed of many", lambda n: _malformed(n, 2010))


def _never_right(reason: str, refused: int) -> Scene:
    refusals = counter((10, 0), (1, refused), (35, 0))
    return _refused(reason, refusals, [0] * len(refusals))


def _right_until(reason: str, before: int, refused: int, minutes: int) -> Scene:
    """So many refused a minute, until an event a minute is counted again."""
    refusals = counter((before, 0 if refused == 1 else refused), (minutes, refused), (45, 0))
    return _refused(reason, refusals, counter((before, 1), (minutes, 0), (45, 1)))


def _rare(apart: int, minutes: int) -> Scene:
    """Guesses all the time; an event every few minutes, but for a while."""
    events = counter(*((1, 1), (apart - 1, 0)) * (180 // apart), (minutes, 0), (60, 1))
    return _refused("unauthorized", counter((len(events) - 61, 10), (60, 0)), events)


def _at_night(hours: int) -> Scene:
    """A day of ten hours and its night, a second day, hours without a call, guesses."""
    day, night = (600, 1), (840, 0)
    refusals = counter((600 + 840 + 600 + 60 * hours, 0), (30, 10), (60, 0))
    events = counter(day, night, day, (60 * hours + 90, 0))
    return _refused("unauthorized", refusals, events)


def _one_pair(refused: int) -> Scene:
    refusals, events = counter((10, 0), (1, refused), (90, 0)), counter((101, 20))
    many = increases(refusals, 60, closed=closed())
    return Scene(
        _refused("unauthorized", refusals, events).series,
        [number > CONFIG.exporter.unauthorized_least - 0.3 for number in many],
        _OF_JOB,
    )


def _surplus(events: int, unfollowed: int) -> Scene:
    """So many events a minute, each asked for first, and in an hour so many without their event."""
    alone = [0.0] * 10 + [step * unfollowed // 60 for step in range(1, 101)]
    alone += [alone[-1]] * 90
    return _asked(alone, counter((len(alone) - 1, events)))


def _visitor(minutes: int) -> Scene:
    """An event a minute that asks first, and for some minutes two more without one."""
    return _asked(counter((10, 0), (minutes, 2), (90, 0)), counter((100 + minutes, 1)))


def _asked(alone: Sequence[float], events: Sequence[float]) -> Scene:
    def found(window: int, least: int) -> list[bool]:
        asked = increases(
            [a + b for a, b in zip(alone, events, strict=True)], window, closed=closed()
        )
        followed = increases(events, window, closed=closed())
        return [
            one - other > CONFIG.exporter.unfollowed_share * other + least - 0.3
            for one, other in zip(asked, followed, strict=True)
        ]

    pairs = zip(found(60, CONFIG.exporter.unauthorized_least), found(15, 1), strict=True)
    series = {
        scraped(catalog.REJECTED, reason="unauthenticated"): [
            one + other for one, other in zip(alone, events, strict=True)
        ],
        scraped(catalog.REJECTED, reason="malformed"): [0.0] * len(events),
        scraped(catalog.EVENTS, event_type="disconnect", result="counted"): events,
    }
    return Scene(series, [both == (True, True) for both in pairs], _OF_JOB, ["came without"])


def _refused(reason: str, refusals: Sequence[float], events: Sequence[float]) -> Scene:
    holds = [
        bad > CONFIG.exporter.unauthorized_least - 0.3 and none_right
        for bad, none_right in zip(
            increases(refusals, 15, closed=closed()), _none_right(events), strict=True
        )
    ]
    series = {
        scraped(catalog.REJECTED, reason=reason): refusals,
        scraped(catalog.EVENTS, event_type="disconnect", result="counted"): events,
    }
    says = {"unauthorized": "came with wrong credentials", "unauthenticated": "came without"}
    return Scene(series, holds, {**_OF_JOB, "reason": reason}, [says[reason]])


def _within(events: Sequence[float], window: int, offset: int = 0) -> list[float | None]:
    counted = increase(events, window, closed=closed())
    return [None] * min(offset, len(counted)) + counted[: max(0, len(counted) - offset)]


def _gone(events: Sequence[float]) -> list[bool]:
    quickly = [
        (_within(events, w), _within(events, before, w), calls) for w, before, calls in _GONE
    ]
    return [
        any(now[at] == 0 and (before[at] or 0) > calls - 0.3 for now, before, calls in quickly)
        for at in range(len(events))
    ]


def _none_right(events: Sequence[float]) -> list[bool]:
    hour, yesterday = _within(events, 60), _within(events, 120, 23 * 60)
    day = _within(events, 24 * 60)
    return [
        gone or (hour[at] == 0 and not (yesterday[at] == 0 and (day[at] or 0) > 0))
        for at, gone in enumerate(_gone(events))
    ]


def _elsewhere(reason: str, minutes: int) -> Scene:
    """A call a minute, but for so long one at a wrong path or with a failed handshake."""
    events, others = (counter((30, one), (minutes, 1 - one), (45, one)) for one in (1, 0))
    holds = [
        bad > CONFIG.exporter.unauthorized_least - 0.3 and gone
        for bad, gone in zip(increases(others, 15, closed=closed()), _gone(events), strict=True)
    ]
    refused = (
        scraped(catalog.REJECTED, reason="path")
        if reason == "path"
        else scraped(catalog.TLS_HANDSHAKE_ERRORS, listener="webhook")
    )
    events_of = scraped(catalog.EVENTS, event_type="disconnect", result="counted")
    says = {"path": "asked for a path", "tls": "TLS handshakes"}
    return Scene(
        {refused: others, events_of: events}, holds, {**_OF_JOB, "reason": reason}, [says[reason]]
    )


def _overload(refused: int, others: int) -> Scene:
    refusals, rest = (counter((10, 0), (1, number), (60, 0)) for number in (refused, others))
    limits = CONFIG.exporter
    holds = [
        bad > limits.malformed_share * (bad + good) and bad > limits.malformed_least - 0.3
        for bad, good in zip(
            increases(refusals, 15, closed=closed()),
            increases(rest, 15, closed=closed()),
            strict=True,
        )
    ]
    series = {
        scraped(catalog.REJECTED, reason="overload"): refusals,
        scraped(catalog.WEBHOOK_REQUESTS, code="503"): refusals,
        scraped(catalog.WEBHOOK_REQUESTS, code="204"): rest,
    }
    return Scene(series, holds, _OF_JOB, ["more than the exporter takes at once"])


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
    return Scene(series, holds, _OF_INSTANCE, [f"{100 * commits / of_all:.2g}% (about 1 in "])


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


def _missed(calls: int) -> Scene:
    """Missed calls, found once; three hours later the exporter is not scraped for some minutes."""
    missed = counter((10, 0), (1, calls), (230, 0))
    holds = [number > 0 for number in increases(missed, 60, closed=closed())]
    scrapes = [*missed[:150], STALE, None, None, *missed[153:]]
    series: dict[str, Sequence[float | None]] = {
        scraped(catalog.RECONCILE_CALLS, verdict="missed"): scrapes,
        named("process_start_time_seconds", instance=INSTANCE): level((241, 0)),
        scraped(catalog.RECONCILE_CALLS, verdict="counted"): counter((241, 100)),
        scraped(catalog.RECONCILE_MISSED_SINCE): level((241, 1_772_366_400)),
    }
    return Scene(series, holds, _OF_JOB, ["The first ended at 2026-03-01 12:00:00"])
