"""Days of ordinary calls, as the exporter and the rules would have left them in Prometheus."""

import time
from collections.abc import Mapping

from bandwidth_voice_exporter.simulate.profile import ApplicationProfile, Profile, behaviour
from bandwidth_voice_exporter.voice.causes import fault_domain
from testkit.alert_cases.series import named

_HOUR = 3600
_DAYS = 9
_WINDOWS = {"5m": 1 / 12, "15m": 1 / 4, "1h": 1, "6h": 6}
_OF_DIRECTION = ("direction",)
_OF_DOMAIN = (*_OF_DIRECTION, "fault_domain")
_OF_CAUSE = (*_OF_DOMAIN, "cause")
_OF_APPLICATION = ("application", *_OF_DIRECTION)
_ANSWERED = {"answered": "true"}
_FAILED = {"fault_domain": "application"}
# Recorded counts: name, labels, and which calls they are of.
_COUNTS: tuple[tuple[str, tuple[str, ...], Mapping[str, str]], ...] = (
    ("direction:bandwidth_voice_calls", _OF_DIRECTION, {}),
    ("direction_fault_domain:bandwidth_voice_calls", _OF_DOMAIN, {}),
    ("direction_cause:bandwidth_voice_calls", _OF_CAUSE, {}),
    ("application_direction:bandwidth_voice_calls", _OF_APPLICATION, {}),
    ("application_direction:bandwidth_voice_application_failures", _OF_APPLICATION, _FAILED),
    ("direction:bandwidth_voice_answered_calls", _OF_DIRECTION, _ANSWERED),
)
# Recorded shares: name, labels, labels of the calls that they are a share of, and of which.
_SHARES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Mapping[str, str]], ...] = (
    ("direction_fault_domain:bandwidth_voice_failure_ratio", _OF_DOMAIN, _OF_DIRECTION, {}),
    ("direction_cause:bandwidth_voice_failure_ratio", _OF_CAUSE, _OF_DIRECTION, {}),
    (
        "application_direction:bandwidth_voice_application_failure_ratio",
        _OF_APPLICATION,
        _OF_APPLICATION,
        _FAILED,
    ),
)

Labels = frozenset[tuple[str, str]]
Samples = list[tuple[float, float]]


def past(rate: float, scale: int, names: Mapping[ApplicationProfile, str]) -> dict[str, Samples]:
    """Return series up to now: ``rate`` calls a minute, of a time ``scale`` times as fast."""
    now = time.time()
    an_hour = _HOUR / scale
    calls = _calls(60 * rate, names)
    hours = [now - an_hour * hours for hours in range(24 * _DAYS, 0, -1)]
    series: dict[str, Samples] = {}

    def remember(name: str, labels: Labels, value: float) -> None:
        series[named(name, **dict(labels))] = [(at, value) for at in hours]

    for level, labels, of in _COUNTS:
        for group, number in _summed(calls, labels, of).items():
            for window, times in _WINDOWS.items():
                remember(f"{level}:increase{window}", group, number * times)
    for level, labels, whole, of in _SHARES:
        wholes = _summed(calls, whole, {})
        for group, number in _summed(calls, labels, of).items():
            of_group = frozenset(pair for pair in group if pair[0] in whole)
            remember(f"{level}:expected1h", group, number / wholes[of_group])
    seconds = [now - left for left in range(round(2 * an_hour), 0, -1)]
    for group, number in calls.items():
        name = named("bandwidth_voice_calls_total", **dict(group), instance="past")
        series[name] = [(at, number / an_hour * (at - seconds[0] + 1_000)) for at in seconds]
    return series


def _calls(an_hour: float, names: Mapping[ApplicationProfile, str]) -> dict[Labels, float]:
    profile = Profile()
    weight = sum(application.weight for application in names)
    calls: dict[Labels, float] = {}
    for application, name in names.items():
        inbound = application.inbound_share
        for direction, share, causes in (
            ("inbound", inbound, profile.inbound),
            ("outbound", 1 - inbound, profile.outbound),
        ):
            for cause, part in causes:
                answered = behaviour(cause).answered_share
                for is_answered, odds in (("true", answered), ("false", 1 - answered)):
                    labels = {
                        "application": name,
                        "direction": direction,
                        "cause": cause,
                        "fault_domain": fault_domain(cause),
                        "answered": is_answered,
                    }
                    number = an_hour * application.weight / weight * share * part * odds
                    calls[frozenset(labels.items())] = number
    return calls


def _summed(
    calls: Mapping[Labels, float], by: tuple[str, ...], kept: Mapping[str, str]
) -> dict[Labels, float]:
    sums: dict[Labels, float] = {}
    for labels, number in calls.items():
        found = dict(labels)
        if kept.items() <= found.items():
            group = frozenset((name, found[name]) for name in by)
            sums[group] = sums.get(group, 0) + number
    return sums
