"""Alerts on how many calls there are, when they are reported, and whether there is a baseline."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import sqrt

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least, from_most
from testkit.alert_cases.model import (
    Values,
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
# Calls expected since the last one, where one a minute is usual: midway.
_ENOUGH = (_FLOW.silent_expected + _FLOW.silent_uncertain) // 2
_BEGIN, _STEPS = 30, 100  # steps until a silence, and in all
_CLOSING, _CLOSED = 10, 20  # steps until a closing, and from it to the opening
_VARIES = 0.75  # of the calls expected: fewer are what no day is like
_MORE_LOST = {5: 0.0, 15: 0.0, 60: 0.05}  # than the configuration says, by the minutes
_STILL = 0.6  # of them in a quarter of an hour: a loss of the hour before is over
_EVENING = 0.3  # calls of an hour do not become fewer than this share of those before
_SOON = 5  # seconds


def cases() -> Iterator[Case]:
    """Yield the cases."""
    silent, low = "BandwidthVoiceCallsSilent", "BandwidthVoiceCallVolumeLow"
    yield from_least(silent, "calls expected since the last one", _silent, high=40)
    yield from_most(
        silent, "calls in the silence", lambda n: _silent(_ENOUGH + 1, stray=n), high=20
    )
    yield from_least(silent, "calls an hour before, no baseline", _silent_anew)
    yield from_least(
        f"{silent}SinceOpening", "calls expected since the opening", _not_opened, high=40
    )
    by_hand = f"{silent}ByHand"
    yield from_least(by_hand, "minutes since the last call", _by_hand, high=600)
    yield from_least(by_hand, "minutes since the opening", lambda n: _by_hand(n, 90), high=600)
    yield from_most(low, "calls of six hundred", _low)
    yield from_most(low, "scrapes that fail", lambda n: _low(0, minutes=8, failed=n), high=8)
    one = "BandwidthVoiceApplicationSilent"
    yield from_least(one, "calls of a quarter last week", _one_silent, high=100)
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


def _recorded(**series: Values) -> dict[str, Values]:
    """Series of the reference, by their last names."""
    return {named(f"{_CALLS}:{name}", direction=_DIRECTION): of for name, of in series.items()}


def _silent(expected: int, stray: int = 0) -> Scene:
    """A call a minute, then none but strays until so many were expected since the last one."""
    # A call is seen for two minutes.
    calls = level((_BEGIN, 1), (expected + 1, 0), (_STEPS - _BEGIN - expected - 1, 1))
    calls[_BEGIN + 5] += stray
    return _silence(calls, level((_STEPS, 1)), [f"The last one ended {expected}m 0s ago."])


def _not_opened(expected: int) -> Scene:
    """A call a minute until a closing, and from the opening on none until so many were expected."""
    open_from = _CLOSING + _CLOSED
    calls = level((_CLOSING, 1), (_CLOSED + expected + 1, 0))
    calls += level((_STEPS - len(calls), 1))
    is_open = level((_CLOSING, 1), (_CLOSED, 0), (_STEPS - open_from, 1))
    scene = _silence(calls, is_open, ())
    holds = [held and not any(calls[open_from : step + 1]) for step, held in enumerate(scene.holds)]
    says = [f"and about {expected} were expected since", "closed_days"]
    return Scene(scene.series, holds, _LABELS, says)


def _silence(calls: Sequence[float], is_open: Sequence[float], says: Sequence[str]) -> Scene:
    """Calls of each minute, where one a minute is expected while it is open."""
    before = level((15, 1))
    minutes = [*before, *calls]
    ended = {
        window: [sum(_last(minutes, step + 15, window)) for step in range(_STEPS)]
        for window in (2, 5, 15)
    }
    total = [100 + number for number in accumulate(is_open)]
    opening = [
        60.0 * step * (now > then)
        for step, (then, now) in enumerate(zip([1.0, *is_open], is_open, strict=False))
    ]
    at_call = [
        number if seen or at else 0.0
        for number, seen, at in zip(total, ended[2], opening, strict=True)
    ]
    silent = [
        # At two evaluations in a row, where one call a minute is expected.
        bool(is_open[step]) and number - max(at_call[: step + 1]) - 1 >= _ENOUGH
        for step, number in enumerate(total)
    ]
    # Over 55 % of what is usual for five minutes it is over.
    back = [
        not it and min(_last(ended[15], step, 5)) >= 0.55 * 15 for step, it in enumerate(silent)
    ]
    holds = [
        any(silent[begun] and not any(back[begun : step + 1]) for begun in range(step + 1))
        for step in range(_STEPS)
    ]
    return Scene(
        _recorded(
            usual1m=is_open,
            expected1m=is_open,
            open=is_open,
            **{f"ended{window}m": of for window, of in ended.items()},
            expected=total,
            atcall=at_call,
            lastcall=[60.0 * step * (seen > 0) for step, seen in enumerate(ended[2])],
            opening=opening,
        ),
        holds,
        _LABELS,
        ["outbound calls that ended in 5 minutes: 0; expected (about): 5. ", *says],
    )


def _by_hand(minutes: int, opening: int = 0) -> Scene:
    """Calls end until a step, then none for so many minutes of the time that calls come in."""
    begin = max(_BEGIN, opening)
    steps = begin + minutes + 30
    last = [min(step, _BEGIN - 1) if step < begin + minutes else step for step in range(steps)]
    quiet = [begin <= step < begin + minutes for step in range(steps)]
    total = [0.1 * max(0, step - opening) for step in range(steps)]
    hours = 60 * _FLOW.by_hand_hours
    holds = [
        silent and step - max(last[step], opening) > hours for step, silent in enumerate(quiet)
    ]
    return Scene(
        _recorded(
            expected=total,
            atcall=[
                number if last[step] == step or step == opening else 0.0
                for step, number in enumerate(total)
            ],
            silent=[60.0 * step * silent for step, silent in enumerate(quiet)],
            back=[60.0 * step * (not silent) for step, silent in enumerate(quiet)],
            lastcall=[60.0 * step * (last[step] == step) for step in range(steps)],
            opening=[60.0 * step * (step == opening) for step in range(steps)],
        ),
        holds,
        _LABELS,
        [f"No outbound call has ended in {_FLOW.by_hand_hours} hours, where about 2"],
    )


def _silent_anew(an_hour: int) -> Scene:
    calls = counter((150, an_hour / 60), (25, 0), (20, an_hour / 60))
    hour, quarter = (increase(calls, window, closed=closed()) for window in (60, 15))
    holds = []
    for step in range(len(calls)):
        before = [hour[step - back] if step >= back else None for back in (15, 75)]
        usual = sum(value or 0 for value in before) / 8
        holds.append(
            None not in before and quarter[step] == 0 and _EVENING * usual >= _FLOW.silent_expected
        )
    seen = _within(calls, 2)
    last = [60.0 * step * (ended > 0) for step, ended in enumerate(seen)]
    given = {
        _ENDED: calls,
        **_recorded(ended15m=quarter, ended5m=_within(calls, 5), ended2m=seen, lastcall=last),
    }
    return Scene(given, holds, _LABELS, ["outbound calls that ended in 5 minutes: "])


def _low(calls: int, minutes: int = 60, failed: int = 0) -> Scene:
    """Ten calls a minute, then so many in all, then ten a minute; so many scrapes fail then."""
    ended = counter((65, 10), (minutes, calls / minutes), (30, 10))
    up = level((66, 1), (failed, 0), (len(ended) - 66 - failed, 1))
    counted = {window: _within(ended, window) for window in (5, 15, 60)}
    holds = [
        step >= 65
        and _scrapes(up, step) >= 0.9 * _scrapes(up, step - 60)
        and any(
            (window < 60 or counted[15][step] < _STILL * 150)
            and counted[window][step] < (1 - _FLOW.lost - _MORE_LOST[window]) * 10 * window
            and round(sqrt(1 - 1 / window), 3)
            * surprise(counted[window][step], _VARIES * 10 * window)
            < -_FLOW.zscore
            for window in counted
        )
        for step in range(len(ended))
    ]
    return Scene(
        {
            _ENDED: ended,
            named("up", instance=series.INSTANCE): up,
            **_recorded(
                expected1m=[*[None] * 65, *level((len(ended) - 65, 10))],
                open=level((len(ended), 1)),
            ),
        },
        holds,
        _LABELS,
        ["outbound calls that ended in 5 minutes: ", "about 50 expected", "about 150 expected."],
    )


def _scrapes(up: Sequence[float], step: int) -> float:
    return sum(up[max(0, step - 5 + (not closed())) : step + 1])


def _last(values: Sequence[float], step: int, samples: int) -> Sequence[float]:
    return values[max(0, step - samples + 1) : step + 1]


def _one_silent(quarter: int) -> Scene:
    """A week with so many calls of an application, half an hour without any, then again."""
    week, rest = 12 * 24 * 7, 24
    calls = level((week, quarter), (6, 0), (rest, quarter))
    of_one = {**_LABELS, "application": series.APPLICATION}
    others = level((len(calls), 200))
    holds = [step >= week and not number and quarter >= 15 for step, number in enumerate(calls)]
    name = "application_direction:bandwidth_voice_calls:increase"
    return Scene(
        {
            named(f"{name}15m", **of_one): calls,
            named(f"{name}1h", **of_one): level((len(calls), 4 * quarter)),
            named(f"{_CALLS}:increase15m", direction=_DIRECTION): others,
            named(f"{_CALLS}:increase1h", direction=_DIRECTION): others,
        },
        holds,
        of_one,
        [f"outbound call of {series.APPLICATION}", f"last week: {4 * quarter}."],
        minutes=5,
    )


def _surge(calls: int, an_hour: float) -> Scene:
    """Eight days with so many calls an hour, and then so many in a quarter of an hour."""
    before = 12 * 24 * 8
    quarter = level((before, an_hour / 4), (4, calls), (12, an_hour / 4))
    hour = level((len(quarter), an_hour))
    holds = [
        step >= 12 * 166.75
        and number > _FLOW.surge * an_hour / 4
        and number > _FLOW.surge_least_calls - 0.3
        for step, number in enumerate(quarter)
    ]
    return Scene(
        {
            named(f"{_CALLS}:increase1h", direction=_DIRECTION): hour,
            **_recorded(ended15m=quarter, learned30m=level((len(quarter), an_hour / 4))),
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
