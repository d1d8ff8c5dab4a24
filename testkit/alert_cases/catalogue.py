"""All cases."""

from functools import cache
from itertools import chain

from testkit.alert_cases import exporter, failures, flow, forwards, lengths, people, rare
from testkit.alert_cases.case import Case

_PARTS = (exporter, failures, flow, forwards, lengths, people, rare)


@cache
def cases() -> tuple[Case, ...]:
    """Return the cases of all alerts."""
    return tuple(chain.from_iterable(part.cases() for part in _PARTS))


def of(alert: str) -> tuple[Case, ...]:
    """Return the cases of one alert."""
    return tuple(case for case in cases() if case.alert == alert)
