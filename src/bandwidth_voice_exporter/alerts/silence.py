"""Alerts on calls that do not come at all, in a direction or of one application."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import indented
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.flow import before, expected, in_hours, lately
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import CALLS, OF_APPLICATION, on
from bandwidth_voice_exporter.alerts.volume import OF_DIRECTION

_LABELS = ("job", "direction")
# Calls do not become fewer than this share of what they were within the hours before: the
# allowance while there is no baseline.
_EVENING = 0.3
# Of the direction's calls of last week: with fewer the site is closed, or all of it is silent.
_OPEN = 0.4
_OF_A_DAY = 0.75  # so many fewer on a day without a holiday
_TALKS_ON = 0.12  # of an application's calls of last week


def of_one_application(config: Config) -> Alert:
    """Return the alert on one application's calls that do not come, while others' do."""
    found = "\nor\n".join(
        f"{few}\nand {on('direction')} {CALLS.within(window)} > {_OPEN}"
        f" * {CALLS.within(window)} offset 1w"
        for window in ("15m", "1h")
        for few in _few(window, config)
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
        keep="6m",
        summary="Hardly any calls of one application are reported any more, while others' are.",
        description=(
            "No {{ $labels.direction }} call of {{ $labels.application }}, or hardly any, has "
            "ended in the last quarter of an hour at least; in the hour before this time last "
            f"week: {usual}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS, "application"),
    )


def _few(window: str, config: Config) -> Iterator[str]:
    """Yield that an application has no calls, or of many only those that talk already."""
    calls, least = OF_APPLICATION.within(window), config.flow.silent_uncertain
    # On a holiday all applications have fewer.
    today = f"clamp_max({CALLS.within(window)} / {CALLS.within(window)} offset 1w, 1)"
    usual = f"{calls} offset 1w * {on('direction')} group_left () {today}"
    yield f"{calls}{config.flowing} < 0.5\nand {usual} >= {_OF_A_DAY} * {least}"
    yield f"{calls}{config.flowing} < {_TALKS_ON} * {usual}\nand {usual} >= {2 * least}"


def silences(config: Config) -> Iterator[Alert]:
    """Yield the alerts on calls that do not come at all."""
    yield _silent(config)
    yield _asks(config)
    if config.switched_by_hand:
        yield _switched_off(config)


def _silent(config: Config) -> Alert:
    seen = f"{OF_DIRECTION.last} >= {OF_DIRECTION.opening}"
    return Alert(
        name="BandwidthVoiceCallsSilent",
        expr=in_hours(f"{_missed(config.flowing)}\nand {seen}\nor\n{_young(config)}", config),
        severity="critical",
        fault_domain="pipeline",
        keep="3m",
        summary="No calls, or hardly any, are reported any more.",
        description=(
            f"{{{{ $labels.direction }}}} calls that ended in 5 minutes: {lately()}; expected "
            f"(about): {expected(5)}. The last one ended {_since()} ago. Calls do not come, or "
            "their webhooks do not arrive."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _asks(config: Config) -> Alert:
    not_seen = f"{OF_DIRECTION.last} < {OF_DIRECTION.opening}"
    return Alert(
        name="BandwidthVoiceCallsSilentSinceOpening",
        expr=in_hours(f"{_missed(config.flowing)}\nand {not_seen}", config),
        # Nothing but the calendar can tell a holiday from an outage that began at night.
        severity="critical" if config.closed_days else "warning",
        fault_domain="pipeline",
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
        expr=in_hours(
            f"{_missed(config.by_hand)}\n"
            f"and time() - {OF_DIRECTION.last} > {3600 * hours}\n"
            f"and time() - {OF_DIRECTION.opening} > {3600 * hours}",
            config,
        ),
        severity="warning",
        fault_domain="pipeline",
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

    It goes on when a long call ends in the silence, and where a few come of those lost: until
    calls come back.
    """
    silent, back = OF_DIRECTION.silent, OF_DIRECTION.back
    return (
        f"{OF_DIRECTION.since_last(matchers)}\n"
        f"and max_over_time({silent}[8h]) > max_over_time({back}[8h])"
    )


def _young(config: Config) -> str:
    return (
        f"{_EVENING} * {before()} >= {config.flow.silent_expected}\n"
        f"and {OF_DIRECTION.slot} < 0.5\n"
        f"unless {OF_DIRECTION.series('lastweek15m')}"
    )


def _since() -> str:
    last = f"max_over_time({OF_DIRECTION.series('lastcall')}{{}}[1d])"
    return say.looked_up(f"clamp_max(time() - {last}, 86400)", _LABELS, say.SECONDS)
