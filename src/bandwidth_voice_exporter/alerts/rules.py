"""All rules of a configuration, as the text of a rule file."""

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from bandwidth_voice_exporter.alerts import (
    config,
    counts,
    exporter,
    failures,
    flow,
    forwards,
    kpi,
    lengths,
    meta,
    rare,
    share,
    silence,
    threshold,
    users,
    volume,
    webhooks,
)
from bandwidth_voice_exporter.alerts.names import full, short, told_as
from bandwidth_voice_exporter.alerts.rulefile import Alert, Form, Group, Recording, render
from bandwidth_voice_exporter.alerts.series import CALLS, DOMAIN, TALK, WINDOWS
from bandwidth_voice_exporter.settings import nearest


def groups(settings: config.Config) -> tuple[Group, ...]:
    """Return all rules, by groups of at most 20: Mimir takes no more.

    From the counters to a page everything is in one group, in order; a group reads of another one
    nothing but what changes slowly, or what no page waits for.
    """
    job = settings.job

    def every_minute(name: str, *rules: Iterable[Recording | Alert]) -> Group:
        return Group(f"bandwidth-voice-{name}", "1m", tuple(chain(*rules)))

    return (
        Group(
            "bandwidth-voice-baseline",
            share.BASELINE_INTERVAL,
            (*share.baselines(), *lengths.baselines()),
        ),
        Group("bandwidth-voice-baseline-spread", share.BASELINE_INTERVAL, (*share.spreads(),)),
        every_minute(
            "failures",
            counts.recordings(job, DOMAIN, *failures.PAGED_IN),
            counts.recordings(job, CALLS, *failures.PAGED_IN),
            (share.expected(share.FAILURES),),
            share.recordings(share.FAILURES, *failures.PAGED_IN),
            failures.recordings(settings),
            failures.pages(settings),
        ),
        every_minute(
            "failures-tickets",
            counts.recordings(job, DOMAIN, "6h"),
            counts.recordings(job, CALLS, "6h"),
            share.recordings(share.FAILURES, "6h"),
            meta.recordings(),
            failures.alerts(settings),
            rare.alerts(settings),
            (users.asr_low(settings),),
            meta.alerts(settings),
        ),
        every_minute("causes", _of_share(job, share.CAUSES), users.alerts(settings)),
        every_minute("short", _of_share(job, share.SHORT_CALLS), (lengths.short_calls(settings),)),
        every_minute(
            "applications",
            _of_share(job, share.OF_APPLICATIONS),
            (failures.of_one_application(settings), silence.of_one_application(settings)),
        ),
        every_minute(
            "lengths",
            counts.recordings(job, TALK, "5m", "1h"),
            lengths.recordings(job),
            lengths.alerts(settings),
        ),
        every_minute("clock", settings.clock.recordings()),
        every_minute(
            "flow",
            volume.OF_DIRECTION.recordings(
                job,
                settings.clock,
                settings.flow.silent_expected,
                settings.flow.silent_uncertain,
            ),
            silence.silences(settings),
        ),
        every_minute(
            "volume",
            volume.OF_DIRECTION.of_minutes(job),
            flow.alerts(settings),
            webhooks.late(settings),
        ),
        *(
            every_minute(
                f"kpi-{window}", counts.for_dashboards(job, window), kpi.recordings(window)
            )
            for window in kpi.WINDOWS
        ),
        every_minute("threshold", threshold.recordings(settings)),
        every_minute(
            "exporter",
            exporter.presence(settings),
            webhooks.alerts(settings),
            exporter.alerts(settings),
            forwards.alerts(settings),
        ),
    )


def _of_share(job: str, what: share.Share) -> Iterator[Recording]:
    for count in dict.fromkeys((what.count, what.of)):
        if count != CALLS:
            yield from counts.recordings(job, count, *WINDOWS)
    yield share.expected(what)
    yield from share.recordings(what, *WINDOWS)


def text(settings: config.Config, time_scale: int = 1) -> str:
    """Return the rule file; raises ValueError where an alert is switched off that there is not."""
    every = groups(settings)
    names = (rule.name for group in every for rule in group.rules if isinstance(rule, Alert))
    known = {name for condition in names for name in (condition, told_as(condition))}
    if unknown := sorted({*settings.switched_off} - known):
        raise ValueError(f"switched_off: {'; '.join(_unknown(name, known) for name in unknown)}")
    left = (
        msgspec.structs.replace(
            group, rules=[rule for rule in group.rules if not _is_off(rule, settings)]
        )
        for group in every
    )
    form = Form(
        runbook=settings.links.runbook,
        time_scale=time_scale,
        group_labels=settings.group_labels,
    )
    return render([group for group in left if group.rules], form)


def _unknown(name: str, known: Iterable[str]) -> str:
    meant = nearest(short(name), map(short, known))
    return f"there is no alert {name}" + (f"; did you mean {full(meant)}?" if meant else "")


def _is_off(rule: Recording | Alert, settings: config.Config) -> bool:
    return isinstance(rule, Alert) and bool(
        {rule.name, told_as(rule.name)} & {*settings.switched_off}
    )
