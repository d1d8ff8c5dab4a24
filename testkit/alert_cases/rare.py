"""Alerts on the first event of a kind after quiet days."""

from collections.abc import Iterator, Sequence

from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least
from testkit.alert_cases.model import Values, counter, increases, level
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import JOB, named
from testkit.alert_cases.settings import CONFIG

_HOUR = 60


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for alert, cause in (
        ("BandwidthVoiceAccountLimitReached", "account-limit"),
        ("BandwidthVoiceCapacityExceeded", "node-capacity-exceeded"),
    ):
        labels = {"job": JOB, "direction": "outbound", "cause": cause}
        refused = series.calls("outbound", cause, answered=False)
        yield _first_of(alert, refused, labels)
    limit = "BandwidthVoiceAccountLimitReached"
    yield from_least(limit, "hours since the last one", _again, high=24 * 2 * CONFIG.quiet_days)
    new = series.calls("outbound", "sudden-silence")
    labels = {"job": JOB, "cause": "sudden-silence"}
    yield _first_of("BandwidthVoiceNewCause", new, labels)
    yield from_least(
        "BandwidthVoiceNewCause", "calls of a series born with them", lambda n: _born(new, n)
    )


def _first_of(alert: str, calls: str, labels: dict[str, str]) -> Case:
    return from_least(alert, "first calls", lambda number: _first(calls, labels, number))


def _first(calls: str, labels: dict[str, str], number: int) -> Scene:
    """Calls, and hours later one more, which is no first one then."""
    later = 1 if number else 0
    values = counter((70, 0), (1, number), (300, 0), (1, later), (80, 0))
    return Scene({calls: values}, _holds(values), labels)


def _again(hours: int) -> Scene:
    """A call that was recorded long ago, and so many hours later another one."""
    labels = {"job": JOB, "direction": "outbound", "cause": "account-limit"}
    begin, later = 12, 12 * hours
    values = counter((begin + later, 0), (1, 1), (24, 0))
    recorded = level((begin, 0), (12, 1), (len(values) - begin - 12, 0))
    lately = increases(values, 2, closed=closed())
    days = 288 * CONFIG.quiet_days
    holds = [
        lately[step] > 0
        and not any(
            recorded[then] > 0
            for then in range(max(0, step - 3 - days + (not closed())), step - 3 + 1)
            if then % 12 == 0
        )
        for step in range(len(values))
    ]
    known = named(
        "direction_cause:bandwidth_voice_calls:increase1h",
        direction="inbound",
        cause="account-limit",
        fault_domain="account",
    )
    refused = series.calls("outbound", "account-limit", answered=False)
    return Scene({refused: values, known: recorded}, holds, labels, minutes=5)


def _born(calls: str, number: int) -> Scene:
    values: Values = [None] * 70 + [number or None] * 130
    holds = [number > 0 and 70 <= step < 80 for step in range(200)]
    up = level((len(values), 1))
    given = {calls: values, named("up", instance=series.INSTANCE): up}
    return Scene(given, holds, {"job": JOB, "cause": "sudden-silence"})


def _holds(values: Sequence[float]) -> list[bool]:
    lately, hour = (increases(values, window, closed=closed()) for window in (10, _HOUR))
    return [
        lately[step] > 0 and not any(hour[then] > 0 for then in range(0, step - 15 + 1, _HOUR))
        for step in range(len(values))
    ]
