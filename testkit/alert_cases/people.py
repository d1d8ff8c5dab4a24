"""Alerts on what the people on the line do."""

from collections.abc import Iterator

from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least
from testkit.alert_cases.failures import INCIDENTS, RATIO, UNKNOWN, Incident
from testkit.alert_cases.model import HALF_HOUR, day, level, usual_share
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import JOB, named
from testkit.alert_cases.settings import CONFIG
from testkit.alert_cases.share import Share

_DIRECTION = "outbound"
_LABELS = {"job": JOB, "direction": _DIRECTION, "fault_domain": "user"}
_CALLS = "bandwidth_voice_calls:increase1h"
_MEDIAN = 0.04  # of calls rejected, on the median day


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, incident in (*INCIDENTS, ("no baseline", UNKNOWN)):
        yield _shift(name, incident)
        yield _asr_low(name, incident)
    rejected, abandoned = "BandwidthVoiceRejectedCallsRising", "BandwidthVoiceAbandonRateHigh"
    yield from_least(rejected, "of a thousand an hour", lambda n: _rejected(n, 1010 - n))
    yield from_least(rejected, "a day, of which all", lambda n: _rejected(n / 24, 0))
    yield from_least(abandoned, "of a thousand an hour", lambda n: _abandoned(n, 1010 - n))
    yield from_least(abandoned, "calls a day, most of them", lambda n: _abandoned(n / 30, n / 120))


def _shift(name: str, incident: Incident) -> Case:
    labels = {**_LABELS, "cause": "busy"}

    def scene(calls: int) -> Scene:
        busy, others = incident.counters(calls)
        share = Share([busy], [others], incident.expected, incident.spread)
        return Scene(
            {
                series.calls(_DIRECTION, "busy", answered=False): busy,
                series.calls(_DIRECTION, "hangup"): others,
                **incident.baseline(f"direction_cause:{RATIO}", labels),
            },
            share.holds(CONFIG.users),
            labels,
            ["outbound calls end by busy", f"expected: {incident.says}."],
        )

    return from_least("BandwidthVoiceUserCauseShift", f"busy: {name}", scene, high=incident.calls)


def _asr_low(name: str, incident: Incident) -> Case:
    def scene(calls: int) -> Scene:
        unanswered, answered = incident.counters(calls)
        halves = [value / 2 for value in unanswered]
        share = Share([halves, halves], [answered], incident.expected, incident.spread)
        return Scene(
            {
                series.calls(_DIRECTION, "timeout", answered=False): halves,
                series.calls(_DIRECTION, "cancel", answered=False): halves,
                series.calls(_DIRECTION, "hangup"): answered,
                **incident.baseline(f"direction_fault_domain:{RATIO}", _LABELS),
            },
            share.holds(CONFIG.users),
            _LABELS,
            [
                "outbound calls end by busy, timeout, cancel or rejected",
                f"expected: {incident.says}.",
            ],
        )

    return from_least("BandwidthVoiceAsrLow", f"unanswered: {name}", scene, high=incident.calls)


def _rejected(rejected: float, others: float) -> Scene:
    calls, all_calls = _day(rejected, others)
    habits = CONFIG.habits
    holds = [
        share > max(habits.rejected_factor * _MEDIAN, _MEDIAN + 0.05)
        and number > habits.least_calls - 0.3
        for share, number in zip(
            usual_share(calls, all_calls, closed=closed()),
            day(calls, closed=closed()),
            strict=True,
        )
    ]
    labels = {**_LABELS, "cause": "rejected"}
    return Scene(
        {
            named(f"direction_cause:{_CALLS}", **labels): calls,
            named(f"direction:{_CALLS}", direction=_DIRECTION): all_calls,
            named(f"direction_cause:{RATIO}:median7d", **labels): [_MEDIAN for _ in calls],
        },
        holds,
        labels,
        ["in the median hour of a day"],
        minutes=HALF_HOUR,
    )


def _abandoned(cancelled: float, others: float) -> Scene:
    calls, all_calls = _day(cancelled, others)
    holds = [
        share > CONFIG.habits.abandon_share and number > CONFIG.habits.least_calls - 0.3
        for share, number in zip(
            usual_share(calls, all_calls, closed=closed()),
            day(all_calls, closed=closed()),
            strict=True,
        )
    ]
    labels = {**_LABELS, "cause": "cancel"}
    return Scene(
        {
            named(f"direction_cause:{_CALLS}", **labels): calls,
            named(f"direction:{_CALLS}", direction=_DIRECTION): all_calls,
        },
        holds,
        labels,
        ["in the median hour of a day"],
        minutes=HALF_HOUR,
    )


def _day(counted: float, others: float) -> tuple[list[float], list[float]]:
    """Return hours with so many calls each, then as many calls but none that count."""
    return level((60, counted), (80, 0)), level((140, max(counted + others, 1 / 24)))
