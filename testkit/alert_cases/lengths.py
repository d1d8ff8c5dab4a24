"""Alerts on how long calls talk, ring and wait."""

from collections.abc import Iterator, Sequence

from bandwidth_voice_exporter.metrics import catalog
from testkit.alert_cases import series
from testkit.alert_cases.case import Case, Scene, from_least, from_most
from testkit.alert_cases.failures import INCIDENTS, RATIO, UNKNOWN, Incident
from testkit.alert_cases.model import (
    HALF_HOUR,
    counter,
    day,
    increase,
    increases,
    level,
    total,
    usual_share,
)
from testkit.alert_cases.promtool import closed
from testkit.alert_cases.series import APPLICATION, JOB, named, scraped
from testkit.alert_cases.settings import CONFIG
from testkit.alert_cases.share import Share

_DIRECTION = "inbound"
_LABELS = {"job": JOB, "direction": _DIRECTION}
_LENGTHS = CONFIG.lengths
_TALK, _RING = 120, 6  # seconds, of the median day
_CLOSE = "direction:bandwidth_voice_short_call_ratio"
_ANSWERED = series.calls(_DIRECTION, "hangup")


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, incident in (*INCIDENTS, ("no baseline", UNKNOWN)):
        yield _short(name, incident)
    yield from_most("BandwidthVoiceShortCallsRising", "failures that explain it", _explained)
    high = "BandwidthVoiceShortCallShareHigh"
    yield from_least(high, "of a thousand an hour", lambda n: _short_share(n, 1010 - n))
    yield from_least(high, "answered a day, half of them", lambda n: _short_share(n / 48, n / 48))
    collapsed = "BandwidthVoiceAcdCollapsed"
    yield from_most(collapsed, "seconds of an average call", lambda n: _acd(n, 360))
    yield from_least(collapsed, "answered calls in an hour", lambda n: _acd(1, n))
    flood = "BandwidthVoiceZeroTalkFlood"
    yield from_least(flood, "silent of a hundred", lambda n: _zero_talk(n, 103 - n))
    yield from_least(flood, "calls, all silent", lambda n: _zero_talk(n, 0))
    yield from_least("BandwidthVoiceLongCalls", "calls of over four hours", _long)
    queue = "BandwidthVoiceQueueSlow"
    yield from_least(queue, "slow of fifty", lambda n: _queue(n, 53 - n))
    yield from_least(queue, "calls, all slow", lambda n: _queue(n, 0))
    setup = "BandwidthVoiceSetupSlow"
    yield from_least(setup, "seconds of a hundred calls", lambda n: _setup(n, 103))
    yield from_least(setup, "calls of a minute", lambda n: _setup(60 * n, n))


def _once(number: float, quiet: int = 100) -> list[float]:
    return counter((10, 0), (1, number), (quiet, 0))


def _within(samples: Sequence[float], window: int) -> list[float]:
    return increases(samples, window, closed=closed())


def _short(name: str, incident: Incident) -> Case:
    def scene(calls: int) -> Scene:
        short, longer = incident.counters(calls)
        answered = [sum(pair) for pair in zip(short, longer, strict=True)]
        share = Share([short], [longer], incident.expected, incident.spread)
        return Scene(
            {
                scraped(catalog.SHORT_CALLS, application=APPLICATION, direction=_DIRECTION): short,
                _ANSWERED: answered,
                **incident.baseline(_CLOSE, _LABELS),
            },
            share.holds(CONFIG.short_calls),
            _LABELS,
            ["answered inbound calls end within 6 seconds", f"expected: {incident.says}."],
        )

    alert = "BandwidthVoiceShortCallsRising"
    return from_least(alert, f"short: {name}", scene, high=incident.calls)


def _explained(failed: int) -> Scene:
    """Many short calls, and so many that the application ended."""
    name, incident = INCIDENTS[0]
    assert name.startswith("many calls")
    short, longer = incident.counters(incident.calls // 3)
    bad, _ = incident.counters(failed)
    hung_up = [s + o - b for s, o, b in zip(short, longer, bad, strict=True)]
    ended = [increase(of, 15, closed=closed()) for of in (bad, hung_up)]
    quarters = [ended[0], total(*ended)]
    limit = 0.004 + 0.05
    is_explained = [
        bool(part and whole and part / whole > limit) for part, whole in zip(*quarters, strict=True)
    ]
    share = Share([short], [longer], incident.expected, incident.spread)
    of_domain = {"direction": _DIRECTION, "fault_domain": "application"}
    return Scene(
        {
            scraped(catalog.SHORT_CALLS, application=APPLICATION, direction=_DIRECTION): short,
            _ANSWERED: hung_up,
            series.calls(_DIRECTION, "callback-error"): bad,
            **incident.baseline(_CLOSE, _LABELS),
            named(f"direction_fault_domain:{RATIO}:expected1h", **of_domain): level(
                (len(short), 0.004)
            ),
        },
        [
            high and not explained
            for high, explained in zip(share.holds(CONFIG.short_calls), is_explained, strict=True)
        ],
        _LABELS,
    )


def _short_share(short: float, others: float) -> Scene:
    calls = level((60, short), (80, 0))
    answered = level((140, max(short + others, 1 / 24)))
    holds = [
        share > _LENGTHS.short_share and number > _LENGTHS.least_calls - 0.3
        for share, number in zip(
            usual_share(calls, answered, closed=closed()),
            day(answered, closed=closed()),
            strict=True,
        )
    ]
    of_direction = {"direction": _DIRECTION}
    return Scene(
        {
            named("direction:bandwidth_voice_short_calls:increase1h", **of_direction): calls,
            named("direction:bandwidth_voice_answered_calls:increase1h", **of_direction): answered,
        },
        holds,
        _LABELS,
        ["in the median hour of a day"],
        minutes=HALF_HOUR,
    )


def _acd(seconds: float, calls: float) -> Scene:
    """Two hours with calls of so many seconds, so many an hour, then usual ones."""
    a_minute = calls / 60
    answered = counter((200, a_minute))
    talk = counter((120, a_minute * seconds), (80, a_minute * _TALK))
    least = _LENGTHS.acd_factor * _TALK
    holds = [
        hour > _LENGTHS.acd_least_calls - 0.3 and talked / hour < least and now / minutes < least
        for hour, talked, minutes, now in zip(
            _within(answered, 60),
            _within(talk, 60),
            _within(answered, 5),
            _within(talk, 5),
            strict=True,
        )
    ]
    median = named("direction:bandwidth_voice_call_talk_seconds:median7d", direction=_DIRECTION)
    return Scene(
        {
            _ANSWERED: answered,
            scraped(catalog.TALK, application=APPLICATION, direction=_DIRECTION): talk,
            median: level((201, _TALK)),
        },
        holds,
        _LABELS,
        ["expected: 2m 0s."],
    )


def _zero_talk(silent: float, others: float) -> Scene:
    none, everything = _once(silent), _once(silent + others)
    labels = {"direction": _DIRECTION, "fault_domain": "none"}
    holds = [
        part > _LENGTHS.zero_talk_least - 0.3 and part / whole > _LENGTHS.zero_talk_share
        for part, whole in zip(_within(none, 15), _within(everything, 15), strict=True)
    ]
    return Scene(
        {
            scraped(catalog.DURATION, "bucket", **labels, le="1.0"): none,
            scraped(catalog.DURATION, "count", **labels): everything,
        },
        holds,
        _LABELS,
        ["answered inbound calls"],
    )


def _long(calls: int) -> Scene:
    quick, everything = _once(50, 180), _once(50 + calls, 180)
    labels = {"direction": _DIRECTION, "fault_domain": "none"}
    holds = [
        whole - part > _LENGTHS.long_calls - 0.3
        for part, whole in zip(_within(quick, 60), _within(everything, 60), strict=True)
    ]
    return Scene(
        {
            scraped(catalog.DURATION, "bucket", **labels, le="14400.0"): quick,
            scraped(catalog.DURATION, "count", **labels): everything,
        },
        holds,
        _LABELS,
        [f"{calls} inbound calls"],
    )


def _queue(slow: float, others: float) -> Scene:
    quick, everything = _once(others), _once(slow + others)
    holds = [
        whole > _LENGTHS.queue_least - 0.3 and 1 - part / whole > _LENGTHS.queue_share
        for part, whole in zip(_within(quick, 15), _within(everything, 15), strict=True)
    ]
    return Scene(
        {
            scraped(catalog.QUEUE, "bucket", direction=_DIRECTION, le="120.0"): quick,
            scraped(catalog.QUEUE, "count", direction=_DIRECTION): everything,
        },
        holds,
        _LABELS,
        ["queued inbound calls"],
    )


def _setup(seconds: float, calls: float) -> Scene:
    rung, answered = _once(seconds), _once(calls)
    slow = max(_LENGTHS.setup_factor * _RING, _RING + _LENGTHS.setup_more_seconds)
    holds = [
        number > _LENGTHS.least_calls - 0.3 and waited / number > slow
        for waited, number in zip(_within(rung, 60), _within(answered, 60), strict=True)
    ]
    median = named("direction:bandwidth_voice_call_setup_seconds:median7d", direction=_DIRECTION)
    return Scene(
        {
            _ANSWERED: answered,
            scraped(catalog.SETUP, "sum", direction=_DIRECTION): rung,
            scraped(catalog.SETUP, "count", direction=_DIRECTION): answered,
            median: [_RING for _ in answered],
        },
        holds,
        _LABELS,
        ["expected: 6s."],
    )
