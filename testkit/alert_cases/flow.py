"""Alerts on how many calls there are, when they are reported, and whether there is a baseline."""

from collections.abc import Iterator, Mapping, Sequence

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least, from_most
from testkit.alert_cases.model import (
    Values,
    averaged,
    counter,
    increase,
    increases,
    level,
    surprise,
)
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import JOB, named, scraped
from testkit.alert_cases.settings import CONFIG

_DIRECTION = "outbound"
_LABELS = {"job": JOB, "direction": _DIRECTION}
_FLOW = CONFIG.flow
_CALLS = "direction:bandwidth_voice_calls"
_ENDED = series.calls(_DIRECTION, "hangup")
_PER_HOUR = {"5m": 12, "15m": 4, "1h": 1}
_EVENING = 0.3  # calls of an hour do not become fewer than this share of those before
_SOON = 5  # seconds


def cases() -> Iterator[Case]:
    """Yield the cases."""
    silent, low = "BandwidthVoiceCallsSilent", "BandwidthVoiceCallVolumeLow"
    yield from_least(silent, "expected in a quarter of an hour", _silent)
    yield from_most(silent, "calls in the silence", _broken_silence)
    yield from_least(silent, "calls an hour before, no baseline", _silent_anew)
    yield from_most(low, "calls of six hundred", _low)
    yield from_most(low, "scrapes that fail", lambda n: _low(0, minutes=9, failed=n), high=9)
    surge = "BandwidthVoiceCallSurge"
    yield from_least(surge, "calls, more than ten expected", lambda n: _surge(n, 40))
    yield from_least(surge, "calls, where none are expected", lambda n: _surge(n, 1))
    late, skewed = "BandwidthVoiceWebhooksLate", "BandwidthVoiceClockSkewed"
    yield from_least(late, "late of a hundred", lambda n: _late(n, 103 - n))
    yield from_most(skewed, "soon of a hundred", lambda n: _skewed(n, 103 - n))
    yield from_least(skewed, "webhooks, none of them soon", lambda n: _skewed(0, n))
    yield from_least("BandwidthVoiceBaselineMissing", "minutes without", _no_baseline)


def _within(samples: Sequence[float], window: int) -> list[float]:
    return increases(samples, window, closed=closed())


def _quarter(samples: Sequence[float]) -> list[float]:
    return [value or 0 for value in averaged(increase(samples, 5, closed=closed()), 15, 3)]


def _expected(numbers: Mapping[str, float], steps: int, begin: int = 0) -> dict[str, Values]:
    return {
        named(f"{_CALLS}:expected{window}", direction=_DIRECTION): [
            *[None] * begin,
            *level((steps - begin, number)),
        ]
        for window, number in numbers.items()
    }


def _silent(expected: int) -> Scene:
    """Calls end, then none for half an hour, where so many are expected in 15 minutes."""
    return _silence(expected, counter((30, 1), (30, 0), (20, 1)))


def _broken_silence(calls: int) -> Scene:
    quiet = [(12, 0), (1, calls), (12, 0)]
    return _silence(_FLOW.silent_expected, counter((30, 1), *quiet, (20, 1)))


def _silence(expected: int, calls: list[float]) -> Scene:
    numbers = {"15m": expected, "1h": 4 * expected}
    counted = {"15m": _quarter(calls), "1h": _within(calls, 60)}
    holds = [
        step > 0
        and any(
            counted[window][step] == 0 and number >= _FLOW.silent_expected
            for window, number in numbers.items()
        )
        for step in range(len(calls))
    ]
    return Scene(
        {_ENDED: calls, **_expected(numbers, len(calls))},
        holds,
        _LABELS,
        [f"No outbound call has ended in 15 minutes; expected at least: {expected}."],
    )


def _silent_anew(an_hour: int) -> Scene:
    calls = counter((150, an_hour / 60), (25, 0), (20, an_hour / 60))
    hour, quarter = increase(calls, 60, closed=closed()), _quarter(calls)
    holds = []
    for step in range(len(calls)):
        before = [hour[step - back] if step >= back else None for back in (15, 75)]
        usual = sum(value or 0 for value in before) / 8
        holds.append(
            None not in before and quarter[step] == 0 and _EVENING * usual >= _FLOW.silent_expected
        )
    return Scene({_ENDED: calls}, holds, _LABELS, ["No outbound call has ended"])


def _low(calls: int, minutes: int = 60, failed: int = 0) -> Scene:
    """Ten calls a minute, then so many in all, then ten a minute; so many scrapes fail then."""
    numbers = {"3m": 30.0, "5m": 50.0, "15m": 150.0, "1h": 600.0}
    ended = counter((65, 10), (minutes, calls / minutes), (30, 10))
    up = level((66, 1), (failed, 0), (len(ended) - 66 - failed, 1))
    counted = {
        "3m": _within(ended, 3),
        "5m": _within(ended, 5),
        "15m": _quarter(ended),
        "1h": _within(ended, 60),
    }
    left, recent = 1 - _FLOW.lost, 1 - _FLOW.lost / 2
    holds = [
        step >= 65
        and _scrapes(up, step) >= 0.9 * _scrapes(up, step - 60)
        and counted["5m"][step] < recent * numbers["5m"]
        and any(
            counted[window][step] < left * number
            and surprise(counted[window][step], number) < -_FLOW.zscore
            for window, number in numbers.items()
        )
        for step in range(len(ended))
    ]
    spreads = {
        named(f"{_CALLS}:spread{window}", direction=_DIRECTION): level((len(ended), 1))
        for window in numbers
    }
    return Scene(
        {
            _ENDED: ended,
            named("up", instance=series.INSTANCE): up,
            **_expected(numbers, len(ended), begin=65),
            **spreads,
        },
        holds,
        _LABELS,
        ["outbound calls that ended in 15 minutes: ", "; expected at least: 150."],
    )


def _scrapes(up: Sequence[float], step: int) -> float:
    return sum(up[max(0, step - 5 + (not closed())) : step + 1])


def _surge(calls: int, an_hour: float) -> Scene:
    """Eight days with so many calls an hour, and then so many in a quarter of an hour."""
    before = 12 * 24 * 8
    quarter = level((before, an_hour / 4), (4, calls), (12, an_hour / 4))
    hour = level((len(quarter), an_hour))
    holds = [
        step >= 12 * 167.5
        and number > _FLOW.surge * an_hour / 4
        and number > _FLOW.surge_least_calls - 0.3
        for step, number in enumerate(quarter)
    ]
    return Scene(
        {
            named(f"{_CALLS}:increase1h", direction=_DIRECTION): hour,
            named(f"{_CALLS}:increase15m", direction=_DIRECTION): quarter,
        },
        holds,
        _LABELS,
        [f"{calls} outbound calls ended in 15 minutes, more than {_FLOW.surge:g} times"],
        minutes=5,
    )


def _delays(soon: float, between: float, late: float) -> dict[str, list[float]]:
    ended = {"5.0": soon, f"{_FLOW.late_seconds:.1f}": soon + between}
    buckets = {
        scraped(catalog.DELAY, "bucket", le=bound): counter((10, 0), (1, number), (100, 0))
        for bound, number in ended.items()
    }
    everything = counter((10, 0), (1, soon + between + late), (100, 0))
    return {**buckets, scraped(catalog.DELAY, "count"): everything}


def _late(late: int, others: int) -> Scene:
    delays = _delays(others, 0, late)
    soon, _, everything = delays.values()
    holds = [
        whole > 19.7 and 1 - part / whole > _FLOW.late_share
        for part, whole in zip(_within(soon, 15), _within(everything, 15), strict=True)
    ]
    return Scene(delays, holds, {"job": JOB}, [f"more than {_FLOW.late_seconds} seconds"])


def _skewed(soon: int, others: int) -> Scene:
    delays = _delays(soon, others, 0)
    quick, _, everything = delays.values()
    holds = [
        whole > 19.7 and part == 0
        for part, whole in zip(_within(quick, 60), _within(everything, 60), strict=True)
    ]
    return Scene(delays, holds, {"job": JOB}, [f"within {_SOON} seconds"])


def _no_baseline(minutes: int) -> Scene:
    steps = minutes + 10
    return Scene(
        {
            named(f"{_CALLS}:increase1h", direction=_DIRECTION): level((steps, 0)),
            named(
                "direction_fault_domain:bandwidth_voice_failure_ratio:median7d",
                direction=_DIRECTION,
                fault_domain="application",
            ): [*[None] * minutes, *level((10, 0.004))],
        },
        [step < minutes for step in range(steps)],
        _LABELS,
        ["outbound calls"],
    )
