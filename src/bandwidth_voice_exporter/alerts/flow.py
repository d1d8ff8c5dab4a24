"""Alerts on how many calls there are, and when they are reported."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import at_least, indented
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import of_job
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import CALLS, OF_APPLICATION, by, on
from bandwidth_voice_exporter.alerts.share import deviance
from bandwidth_voice_exporter.alerts.volume import OF_DIRECTION

_LABELS = ("job", "direction")
# Calls do not become fewer than this share of what they were within the hours before: the
# allowance while there is no baseline.
_EVENING = 0.3
# Of the direction's calls of last week: with fewer the site is closed, or all of it is silent.
_OPEN = 0.4
# No day without a fault has fewer than this share of the calls expected.
_VARIES = 0.75
# A silence is over when so many of the calls expected end again.
_COMES_BACK = 0.3
_COME_BACK_LATELY = 0.6
# Of the scrapes that succeeded in as many minutes an hour ago.
_SCRAPED = 0.9


def of_one_application(config: Config) -> Alert:
    """Return the alert on one application's calls that do not come, while others' do."""
    found = "\nor\n".join(
        f"{OF_APPLICATION.within(window)}{config.flowing} < 0.5\n"
        f"and {OF_APPLICATION.within(window)} offset 1w >= {config.flow.silent_uncertain}\n"
        f"and {on('direction')} {CALLS.within(window)} > {_OPEN} * {CALLS.within(window)} offset 1w"
        for window in ("15m", "1h")
    )
    lately = f"max_over_time({OF_APPLICATION.within('1h')}[1d:1h]) > 0"
    usual = say.looked_up(
        f"{OF_APPLICATION.within('1h')}{{}} offset 1w",
        ("job", "application", "direction"),
        say.NUMBER,
    )
    return Alert(
        name="BandwidthVoiceApplicationSilent",
        expr=f"(\n{indented(found)}\n)\nand {lately}",
        severity="warning",
        fault_domain="pipeline",
        lasts="3m",
        keep="10m",
        summary="No calls of one application are reported any more, while others' are.",
        description=(
            "No {{ $labels.direction }} call of {{ $labels.application }} has ended in the last "
            f"quarter of an hour at least; in the hour before this time last week: {usual}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS, "application"),
    )


def silences(config: Config) -> Iterator[Alert]:
    """Yield the alerts on calls that do not come at all."""
    yield _silent(config)
    yield _asks(config)
    if config.switched_by_hand:
        yield _switched_off(config)


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on too few and too many calls."""
    yield _low(config)
    yield _surge(config)


def _silent(config: Config) -> Alert:
    seen = f"{OF_DIRECTION.last} >= {OF_DIRECTION.opening}"
    return Alert(
        name="BandwidthVoiceCallsSilent",
        expr=_in_hours(f"{_missed(config.flowing)}\nand {seen}\nor\n{_young(config)}", config),
        severity="critical",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="No calls are reported any more.",
        description=(
            f"{{{{ $labels.direction }}}} calls that ended in 5 minutes: {_lately()}; expected "
            f"(about): {_expected(5)}. The last one ended {_since()} ago. Calls do not come, or "
            "their webhooks do not arrive."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _asks(config: Config) -> Alert:
    not_seen = f"{OF_DIRECTION.last} < {OF_DIRECTION.opening}"
    return Alert(
        name="BandwidthVoiceCallsSilentSinceOpening",
        expr=_in_hours(f"{_missed(config.flowing)}\nand {not_seen}", config),
        # Nothing but the calendar can tell a holiday from an outage that began at night.
        severity="critical" if config.closed_days else "warning",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="No call has been reported since the usual opening, today may be a holiday.",
        description=(
            f"No {{{{ $labels.direction }}}} call has ended for {_since()}, and about "
            f"{say.VALUE_NUMBER} were expected since the time at which calls usually begin. If it "
            "is a holiday, enter it in closed_days; if not, calls do not come, or their webhooks "
            "do not arrive."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _switched_off(config: Config) -> Alert:
    hours = config.flow.by_hand_hours
    return Alert(
        name="BandwidthVoiceCallsSilentByHand",
        expr=_in_hours(
            f"{_missed(config.by_hand)}\n"
            f"and time() - {OF_DIRECTION.last} > {3600 * hours}\n"
            f"and time() - {OF_DIRECTION.opening} > {3600 * hours}",
            config,
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="No calls are reported in a direction that people switch on and off.",
        description=(
            f"No {{{{ $labels.direction }}}} call has ended in {hours} hours, where about "
            f"{say.VALUE_NUMBER} were expected. If nobody has switched them off, calls do not "
            "come, or their webhooks do not arrive."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _missed(matchers: str) -> str:
    """Return the calls expected since the last one, where they are missing.

    It goes on when a long call ends in the silence: until calls come back.
    """
    still = (
        f"({OF_DIRECTION.slot} < {_COMES_BACK} * {OF_DIRECTION.within(15)}"
        f" or {OF_DIRECTION.lately} < {_COME_BACK_LATELY} * {OF_DIRECTION.within(5)})"
    )
    return (
        f"{OF_DIRECTION.since_last(matchers)}\nand (\n  {OF_DIRECTION.silent} == 1\n  or\n"
        f"  max_over_time({OF_DIRECTION.silent}[30m]) == 1 and {still}\n)"
    )


def _young(config: Config) -> str:
    return (
        f"{_EVENING} * {_before()} >= {config.flow.silent_expected}\n"
        f"and {OF_DIRECTION.slot} < 0.5\n"
        f"unless {OF_DIRECTION.series('lastweek15m')}"
    )


def _low(config: Config) -> Alert:
    flow = config.flow
    calls = {5: CALLS.within("5m"), 15: OF_DIRECTION.slot, 60: CALLS.within("1h")}
    found = "\nor\n".join(
        f"{ended}{config.flowing} < {1 - flow.lost:g} * {OF_DIRECTION.within(minutes)}\n"
        f"and {OF_DIRECTION.within(minutes)} >= {flow.lost_expected}\n"
        f"and {deviance(ended, f'({_VARIES} * {OF_DIRECTION.within(minutes)})')}\n"
        f"< -{flow.zscore:g}"
        for minutes, ended in calls.items()
    )
    still = f"{OF_DIRECTION.slot} < {_VARIES} * {OF_DIRECTION.within(15)}"
    # Calls of a failed scrape are missing from the counts of the minutes around it.
    up = f"sum {by()} (sum_over_time(up{{{of_job(config.job)}}}[5m]"
    unscraped = f"{up})) < {_SCRAPED:g} * {up} offset 1h))"
    return Alert(
        name="BandwidthVoiceCallVolumeLow",
        expr=_in_hours(
            f"(\n{indented(found)}\n)\nand {still}\nand {OF_DIRECTION.open} == 1\n"
            f"unless {on()} {unscraped}",
            config,
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="1m",
        keep="10m",
        summary="Far fewer calls than usual are reported.",
        description=(
            f"{{{{ $labels.direction }}}} calls that ended in 15 minutes: {_calls()}; "
            f"expected: about {_expected(15)}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _surge(config: Config) -> Alert:
    calls, factor = OF_DIRECTION.slot, config.flow.surge
    above = (
        f"{calls} > {factor:g} * {reference}"
        for reference in (OF_DIRECTION.busiest(config.clock), _before())
    )
    return Alert(
        name="BandwidthVoiceCallSurge",
        expr="\nand ".join((*above, at_least(calls, config.flow.surge_least_calls))),
        severity="warning",
        fault_domain="user",
        lasts="5m",
        keep="10m",
        summary="Far more calls than usual are reported.",
        description=(
            f"{say.VALUE_NUMBER} {{{{ $labels.direction }}}} calls ended in 15 minutes, more than "
            f"{factor:g} times as many as at this time last week and in the two hours before: "
            "a dialler that loops, a flood of callers, or fraud."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _in_hours(expression: str, config: Config) -> str:
    hours = config.office_hours
    if hours is None:
        return expression
    return (
        f"(\n{indented(expression)}\n)\n"
        f"and on () (day_of_week() >= {hours.first_day} and day_of_week() <= {hours.last_day})\n"
        f"and on () (hour() >= {hours.from_hour} and hour() < {hours.to_hour})"
    )


def _before() -> str:
    """Return the calls of the two hours before the last quarter, per quarter."""
    hour = CALLS.within("1h")
    return f"({hour} offset 15m + {hour} offset 1h15m) / 8"


def _since() -> str:
    last = f"max_over_time({OF_DIRECTION.series('lastcall')}{{}}[1d])"
    return say.looked_up(f"clamp_max(time() - {last}, 86400)", _LABELS, say.SECONDS)


def _expected(minutes: int) -> str:
    return say.looked_up(OF_DIRECTION.within(minutes, "{}"), _LABELS, say.NUMBER)


def _lately() -> str:
    return say.looked_up(f"{OF_DIRECTION.lately}{{}}", _LABELS, say.NUMBER)


def _calls() -> str:
    return say.looked_up(f"{OF_DIRECTION.slot}{{}}", _LABELS, say.NUMBER)
