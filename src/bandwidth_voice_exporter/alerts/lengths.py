"""Alerts on how long calls talk, ring and wait."""

from collections.abc import Iterator

import msgspec

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import after_opening, at_least, indented, unusual
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import grown, select, up_to
from bandwidth_voice_exporter.alerts.rulefile import Alert, Recording
from bandwidth_voice_exporter.alerts.series import ANSWERED, CALLS, SHORT, TALK, CountOf, on
from bandwidth_voice_exporter.alerts.share import (
    FAILURES,
    KEPT,
    SHORT_CALLS,
    day,
    known_for_8_days,
    median_day,
    usual_hour,
)
from bandwidth_voice_exporter.metrics import catalog

_LABELS = ("job", "direction")
_ACD = "direction:bandwidth_voice_call_talk_seconds:median7d"
_SETUP = "direction:bandwidth_voice_call_setup_seconds"
_RECONCILED = "direction:bandwidth_voice_reconciled_calls:increase1h"
_FEW = 0.01  # of a window's calls: so few that no webhook reported change no share
_FAILED = 0.05  # of the calls more than usual
_AS_LAST_WEEK = 0.65  # of the talk time then: mornings are short every week
_LONG_SECONDS = 14400
_WAIT_SECONDS = 120


def recordings(job: str) -> Iterator[Recording]:
    """Yield the calls found later, and the mean setup time, whose median day is needed."""
    yield Recording(_RECONCILED, grown(select(catalog.RECONCILED_CALLS, job), "1h", "direction"))
    total = select(catalog.SETUP, job, sample="sum")
    calls = select(catalog.SETUP, job, sample="count")
    yield Recording(
        f"{_SETUP}:mean1h",
        f"{grown(total, '1h', 'direction')}\n/ {grown(calls, '1h', 'direction')}",
    )


def baselines() -> Iterator[Recording]:
    """Yield the talk time and the setup time of the median day."""
    known = known_for_8_days(ANSWERED)
    talk, calls = day(TALK.within("1h")), day(ANSWERED.within("1h"))
    yield Recording(_ACD, f"{median_day(f'({talk}) / ({calls} > 0)')}\n{known}")
    hours = f"quantile_over_time(0.5, ({_SETUP}:mean1h >= 0)[7d:1h])"
    yield Recording(f"{_SETUP}:median7d", f"{hours}\n{known}")


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on talk, queue and setup times."""
    yield _short_share_high(config)
    yield _unless_reconciled(_unless_failed(_acd_collapsed(config)))
    yield _unless_reconciled(_zero_talk(config))
    yield _unless_reconciled(_long_calls(config))
    yield _unless_reconciled(_queue_slow(config))
    yield _unless_reconciled(_setup_slow(config))


def short_calls(config: Config) -> Alert:
    """Return the alert on answered calls that end at once."""
    expected = say.share(SHORT_CALLS.series("expected1h") + "{}", _LABELS)
    touched = say.looked_up(SHORT.within("1h") + "{}", _LABELS, say.NUMBER)
    condition = after_opening(unusual(SHORT_CALLS, config.short_calls))
    # Calls that fail after their answer are short too, and have an alert of their own.
    failed = (
        f'{FAILURES.series("ratio15m")}{{fault_domain=~"application|bandwidth"}}\n'
        f"> {FAILURES.series('expected1h')} + {config.short_calls.points / 2:g}"
    )
    rising = Alert(
        name="BandwidthVoiceShortCallsRising",
        expr=f"(\n{indented(condition)}\n)\nunless {on('direction')} (\n{indented(failed)}\n)",
        severity="warning",
        fault_domain="user",
        lasts="2m",
        keep="5m",
        summary="Far more answered calls than usual end within 6 seconds.",
        description=(
            f"{say.VALUE_SHARE} of answered {{{{ $labels.direction }}}} calls end within "
            f"6 seconds; expected: {expected}. Such calls in the last hour: {touched}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )
    return _unless_reconciled(rising, "[6h]")


def _unless_failed(alert: Alert) -> Alert:
    """Mute an alert on an hour's lengths where calls failed in it, or shortly before.

    The calls that would have talked for long by now are those that failed.
    """
    failed = (
        f"max_over_time({FAILURES.series('ratio1h')}"
        '{fault_domain=~"application|bandwidth|unclassified"}[30m])\n'
        f"> {FAILURES.series('expected1h')} + {_FAILED:g}"
    )
    expression = f"(\n{indented(alert.expr)}\n)\nunless {on('direction')} (\n{indented(failed)}\n)"
    return msgspec.structs.replace(alert, expr=expression)


def _unless_reconciled(alert: Alert, lately: str = "") -> Alert:
    """Mute an alert on lengths while its windows hold calls that were found in Bandwidth's list.

    They were counted at once, and are of another time.
    """
    found = f"max_over_time({_RECONCILED}{lately})" if lately else _RECONCILED
    muted = f"{found} > {_FEW:g} * {CALLS.within('1h')}"
    expression = f"(\n{indented(alert.expr)}\n)\nunless {on('direction')} {muted}"
    return msgspec.structs.replace(alert, expr=expression)


def _short_share_high(config: Config) -> Alert:
    calls = day(ANSWERED.within("1h"))
    limit = config.lengths.short_share
    return Alert(
        name="BandwidthVoiceShortCallShareHigh",
        expr=(
            f"{usual_hour(SHORT.within('1h'), ANSWERED.within('1h'))}\n> {limit:g}\n"
            f"and {at_least(calls, config.lengths.least_calls)}"
        ),
        severity="info",
        fault_domain="user",
        lasts="1h",
        keep="1h",
        summary="Many of the day's answered calls were short.",
        description=(
            f"{say.VALUE_SHARE} of the answered {{{{ $labels.direction }}}} calls ended within "
            f"6 seconds in the median hour of a day; carriers may charge for more than {limit:.0%}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _acd_collapsed(config: Config) -> Alert:
    lengths = config.lengths
    expected = say.looked_up(f"last_over_time({_ACD}{{}}[{KEPT}])", _LABELS, say.SECONDS)
    return Alert(
        name="BandwidthVoiceAcdCollapsed",
        expr=(
            f"{TALK.within('1h')} / {ANSWERED.within('1h')}\n"
            f"< {lengths.acd_factor:g} * last_over_time({_ACD}[{KEPT}])\n"
            f"and {at_least(ANSWERED.within('1h'), lengths.acd_least_calls)}\n"
            f"and {TALK.within('5m')} / {ANSWERED.within('5m')}\n"
            f"< {lengths.acd_factor:g} * last_over_time({_ACD}[{KEPT}])\n"
            f"unless {TALK.within('1h')} / {ANSWERED.within('1h')}\n"
            f">= {_AS_LAST_WEEK:g} * {_last_week(TALK)} / {_last_week(ANSWERED)}"
        ),
        severity="warning",
        fault_domain="user",
        lasts="10m",
        keep="10m",
        summary="Answered calls are much shorter than usual.",
        description=(
            f"Answered {{{{ $labels.direction }}}} calls of the last hour lasted "
            f"{say.VALUE_SECONDS} on average; expected: {expected}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _last_week(count: CountOf) -> str:
    hour = count.within("1h")
    return f"({hour} offset 167h + {hour} offset 168h)"


def _zero_talk(config: Config) -> Alert:
    lengths = config.lengths
    hangup = 'fault_domain="none"'

    bucket = select(catalog.DURATION, config.job, hangup, up_to(1), sample="bucket")
    none = grown(bucket, "15m", "direction")
    count = select(catalog.DURATION, config.job, hangup, sample="count")
    calls = grown(count, "15m", "direction")
    return Alert(
        name="BandwidthVoiceZeroTalkFlood",
        expr=(
            f"{none}\n  / {calls}\n> {lengths.zero_talk_share:g}\n"
            f"and {at_least(none, lengths.zero_talk_least)}"
        ),
        severity="warning",
        fault_domain="user",
        lasts="5m",
        keep="10m",
        summary="Many calls are hung up within a second of their answer.",
        description=(
            f"{say.VALUE_SHARE} of the answered {{{{ $labels.direction }}}} calls of the last "
            "15 minutes were hung up within a second: no audio, or a machine that calls."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _long_calls(config: Config) -> Alert:
    calls = select(catalog.DURATION, config.job, sample="count")
    within = select(catalog.DURATION, config.job, up_to(_LONG_SECONDS), sample="bucket")
    return Alert(
        name="BandwidthVoiceLongCalls",
        expr=(
            f"{grown(calls, '1h', 'direction')}\n"
            f"- {grown(within, '1h', 'direction')}\n"
            f"> {config.lengths.long_calls - 0.3:g}"
        ),
        severity="info",
        fault_domain="application",
        lasts="2m",
        keep="1h",
        summary="Calls of more than four hours have ended.",
        description=(
            f"{say.VALUE_NUMBER} {{{{ $labels.direction }}}} calls that ended in the last hour had "
            "lasted more than four hours: calls that nobody hangs up are paid for."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _queue_slow(config: Config) -> Alert:
    queued = select(catalog.QUEUE, config.job, sample="count")
    quick = select(catalog.QUEUE, config.job, up_to(_WAIT_SECONDS), sample="bucket")
    calls = grown(queued, "15m", "direction")
    return Alert(
        name="BandwidthVoiceQueueSlow",
        expr=(
            f"1 - {grown(quick, '15m', 'direction')}\n  / {calls}\n"
            f"> {config.lengths.queue_share:g}\n"
            f"and {at_least(calls, config.lengths.queue_least)}"
        ),
        severity="warning",
        fault_domain="account",
        lasts="5m",
        keep="10m",
        summary="Queued calls wait for minutes.",
        description=(
            f"{say.VALUE_SHARE} of the queued {{{{ $labels.direction }}}} calls of the last "
            "15 minutes waited more than two minutes; Bandwidth's queue holds a call for five."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _setup_slow(config: Config) -> Alert:
    lengths = config.lengths
    usual = f"last_over_time({_SETUP}:median7d[{KEPT}])"
    expected = say.looked_up(f"last_over_time({_SETUP}:median7d{{}}[{KEPT}])", _LABELS, say.SECONDS)
    answered = at_least(ANSWERED.within("1h"), lengths.least_calls)
    return Alert(
        name="BandwidthVoiceSetupSlow",
        expr=(
            f"{_SETUP}:mean1h\n> {lengths.setup_factor:g} * {usual}\n"
            f"and {_SETUP}:mean1h > {usual} + {lengths.setup_more_seconds:g}\n"
            f"and {answered}"
        ),
        severity="warning",
        fault_domain="bandwidth",
        lasts="15m",
        keep="15m",
        summary="It takes longer than usual until calls are answered.",
        description=(
            f"{{{{ $labels.direction }}}} calls of the last hour were answered after "
            f"{say.VALUE_SECONDS} on average; expected: {expected}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )
