"""Alerts on the behaviour of the people on the line."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import after_opening, at_least, unusual
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import CALLS, CAUSE, DOMAIN, on
from bandwidth_voice_exporter.alerts.share import CAUSES, FAILURES, KEPT, day, usual_hour

_OF_CAUSE = ("job", "direction", "cause")
_USER = '{fault_domain="user"}'


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on busy, timeout, cancel and rejected."""
    yield _shift(config)
    yield _rejected_rising(config)
    yield _abandoned(config)


def _shift(config: Config) -> Alert:
    expected = say.share(CAUSES.series("expected1h") + "{}", _OF_CAUSE)
    touched = say.looked_up(CAUSE.within("1h") + "{}", _OF_CAUSE, say.NUMBER)
    return Alert(
        name="BandwidthVoiceUserCauseShift",
        expr=after_opening(unusual(CAUSES, config.users)),
        severity="warning",
        fault_domain="user",
        lasts="2m",
        keep="5m",
        summary="Far more calls than usual end by one cause of the people called or calling.",
        description=(
            f"{say.VALUE_SHARE} of {{{{ $labels.direction }}}} calls end by "
            f"{{{{ $labels.cause }}}}; expected: {expected}. Such calls in the last hour: "
            f"{touched}."
        ),
        dashboard=say.dashboard(
            config.links, say.FAILURES, "job", "direction", "cause", fault_domain="user"
        ),
    )


def asr_low(config: Config) -> Alert:
    """Return the alert on calls that nobody answers, whatever the cause."""
    labels = ("job", "direction", "fault_domain")
    expected = say.share(FAILURES.series("expected1h") + "{}", labels)
    touched = say.looked_up(DOMAIN.within("1h") + "{}", labels, say.NUMBER)
    return Alert(
        name="BandwidthVoiceAsrLow",
        expr=after_opening(unusual(FAILURES, config.users, _USER)),
        severity="warning",
        fault_domain="user",
        lasts="2m",
        keep="5m",
        summary="Far fewer calls than usual are answered.",
        description=(
            f"{say.VALUE_SHARE} of {{{{ $labels.direction }}}} calls end by busy, timeout, cancel "
            f"or rejected; expected: {expected}. Such calls in the last hour: {touched}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, "job", "direction"),
    )


def _rejected_rising(config: Config) -> Alert:
    rejected = CAUSE.within("1h") + '{cause="rejected"}'
    share = usual_hour(rejected, CALLS.within("1h"), CAUSES.matching)
    median = f"last_over_time({CAUSES.series('median7d')}[{KEPT}])"
    factor = config.habits.rejected_factor
    return Alert(
        name="BandwidthVoiceRejectedCallsRising",
        expr=(
            f"{share}\n> {factor:g} * {median}\n"
            f"and {share}\n> {median} + 0.05\n"
            f"and {at_least(day(rejected), config.habits.least_calls)}"
        ),
        severity="info",
        fault_domain="user",
        lasts="1h",
        keep="1h",
        summary="More and more calls are rejected.",
        description=(
            f"{say.VALUE_SHARE} of the {{{{ $labels.direction }}}} calls were rejected in the "
            f"median hour of a day, more than {factor:g} times the share of the week: the numbers "
            "may be labelled as spam."
        ),
        dashboard=say.dashboard(config.links, say.FAILURES, "job", "direction", cause="rejected"),
    )


def _abandoned(config: Config) -> Alert:
    cancelled = CAUSE.within("1h") + '{cause="cancel"}'
    calls = day(CALLS.within("1h"))
    limit = config.habits.abandon_share
    return Alert(
        name="BandwidthVoiceAbandonRateHigh",
        expr=(
            f"{usual_hour(cancelled, CALLS.within('1h'), CAUSES.matching)}\n> {limit:g}\n"
            f"and {on('direction')} {at_least(calls, config.habits.least_calls)}"
        ),
        severity="info",
        fault_domain="user",
        lasts="1h",
        keep="1h",
        summary="Many calls are abandoned before they are answered.",
        description=(
            f"{say.VALUE_SHARE} of the {{{{ $labels.direction }}}} calls were cancelled before an "
            f"answer in the median hour of a day; carriers may charge for more than {limit:.0%}."
        ),
        dashboard=say.dashboard(config.links, say.FAILURES, "job", "direction", cause="cancel"),
    )
