"""The sums of calls, by metric and label set: as they were sent, and as a Prometheus has it.

Both are whole numbers, times in microseconds, so that they can be compared without a tolerance.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import HANGUP, fault_domain
from bandwidth_voice_exporter.voice.event_types import DISCONNECT
from testkit.calls import Event
from testkit.prometheus import Labels, Prometheus
from testkit.simulator import LogLine

Key = tuple[str, Labels]
Sums = Counter[Key]

# All that survives a restart and only grows. Nobody knows what the delays come to but the exporter.
MONOTONIC = (
    '{__name__=~"bandwidth_voice_.+",'
    '__name__!~"bandwidth_voice_exporter_.+|bandwidth_voice_last_event_timestamp_seconds"}'
)
NAMELESS: Mapping[str, str] = MappingProxyType({})
_DELAY = catalog.DELAY.name
_UNKNOWABLE = {f"{_DELAY}_sum", f"{_DELAY}_bucket"}
_MICRO = {catalog.TALK.name} | {f"{metric.name}_sum" for metric in catalog.CALL_METRICS}
# No part of a sum: labels that tell targets apart, and the choice of error ids with a series.
_SUMMED_OVER = {"__name__", "job", "instance", "error_id"}


def of_log(lines: Iterable[LogLine], names: Mapping[str, str] = NAMELESS) -> Sums:
    """The sums of the distinct legs that were answered 2xx; names are applications' by id."""
    legs = {
        (line["event_type"], line["call_id"]): line
        for line in lines
        if line["status"] is not None and 200 <= line["status"] < 300
    }
    sums = Sums()
    for leg in legs.values():
        _add(sums, leg, names)
    return +sums


def of_events(events: Iterable[Event], names: Mapping[str, str] = NAMELESS) -> Sums:
    """The sums of distinct disconnect events, once each has been answered 2xx."""
    return of_log(map(_line, events), names)


def of_raw_samples(prometheus: Prometheus) -> Sums:
    """The last minus the first raw sample, which must be 0, of each series."""
    sums = Sums()
    for labels, samples in prometheus.raw_samples(MONOTONIC).items():
        (_, first), (_, last) = samples[0], samples[-1]
        assert first == 0, f"not born at 0: {dict(labels)} {samples[:3]}"
        _add_series(sums, labels, last - first)
    return +sums


def of_increases(prometheus: Prometheus) -> Sums:
    """increase() over the whole past of each series, at the time of its last sample."""
    sums = Sums()
    for labels, value in _evaluated(prometheus, "increase"):
        _add_series(sums, labels, value)
    return +sums


def resets(prometheus: Prometheus) -> dict[Labels, float]:
    """How often a series fell; empty where none ever did."""
    return {labels: value for labels, value in _evaluated(prometheus, "resets") if value}


def calls_with(sums: Sums, **labels: str) -> int:
    """How many calls were counted with these label values."""
    return sum(
        number
        for (name, pairs), number in sums.items()
        if name == catalog.CALLS.name and labels.items() <= dict(pairs).items()
    )


def difference(found: Sums, expected: Sums) -> dict[Key, tuple[int, int]]:
    """The values found and expected, where they differ."""
    keys = found.keys() | expected.keys()
    return {key: (found[key], expected[key]) for key in keys if found[key] != expected[key]}


def _evaluated(prometheus: Prometheus, function: str) -> Iterable[tuple[Labels, float]]:
    """Each series, with a function of its range at the time of its last sample.

    increase() extrapolates to the end of its range: only there is nothing to extrapolate to.
    """
    series = prometheus.raw_samples(MONOTONIC)
    by_end: dict[float, dict[Labels, Labels]] = {}
    for labels, samples in series.items():
        if len(samples) > 1:
            nameless = frozenset(pair for pair in labels if pair[0] != "__name__")
            by_end.setdefault(samples[-1][0], {})[labels] = nameless
    for end, ended in by_end.items():
        for name in {dict(labels)["__name__"] for labels in ended}:
            values = prometheus.query(f"{function}({name}[1h])", time=end)
            for labels, nameless in ended.items():
                if ("__name__", name) in labels:
                    yield labels, values[nameless]


def _add_series(sums: Sums, labels: Labels, value: float) -> None:
    pairs = dict(labels)
    name = pairs["__name__"]
    if name in _UNKNOWABLE:
        return
    kept = {label: text for label, text in pairs.items() if label not in _SUMMED_OVER}
    if "le" in kept:
        kept["le"] = str(float(kept["le"]))
    scaled = value * 1e6 if name in _MICRO else value
    assert name in _MICRO or scaled == round(scaled), f"{pairs} moved by {value}"
    sums[name, frozenset(kept.items())] += round(scaled)


def _add(sums: Sums, leg: LogLine, names: Mapping[str, str]) -> None:
    direction, cause = leg["direction"], leg["cause"]
    domain = fault_domain(cause)
    by_cause = {
        "direction": direction,
        "cause": cause,
        "fault_domain": domain,
        "answered": str(leg["answered"]).lower(),
    }
    sums[_key(f"{_DELAY}_count")] += 1
    if leg["event_type"] != DISCONNECT:
        sums[_key(catalog.TRANSFER_LEGS.name, **by_cause)] += 1
        return
    application = {"application": names.get(leg["application"], leg["application"])}
    sums[_key(catalog.CALLS.name, **application, **by_cause)] += 1
    by_domain = {"direction": direction, "fault_domain": domain}
    talk = leg["duration_seconds"]
    if talk is not None:
        key = {**application, "direction": direction}
        sums[_key(catalog.TALK.name, **key)] += _micro(talk)
        sums[_key(catalog.SHORT_CALLS.name, **key)] += talk <= 6
    _observe(sums, catalog.DURATION, talk, **by_domain)
    _observe(sums, catalog.SETUP, leg["setup_seconds"], direction=direction)
    _observe(sums, catalog.UNANSWERED, leg["unanswered_seconds"], **by_domain)
    _observe(sums, catalog.QUEUE, leg["queue_seconds"], direction=direction)
    if leg["sip_response_code"] is not None:
        sums[_key(catalog.SIP_REJECTIONS.name, code=str(leg["sip_response_code"]))] += 1
    if cause != HANGUP or leg["error_id"] is not None:
        sums[_key(catalog.CALL_ERRORS.name, direction=direction, cause=cause)] += 1


def _observe(sums: Sums, metric: catalog.Metric, seconds: float | None, **labels: str) -> None:
    if seconds is None:
        return
    bounds = [*map(float, metric.buckets), math.inf]
    for bound in bounds[bisect_left(bounds, seconds) :]:
        sums[_key(f"{metric.name}_bucket", le=str(bound), **labels)] += 1
    sums[_key(f"{metric.name}_count", **labels)] += 1
    sums[_key(f"{metric.name}_sum", **labels)] += _micro(seconds)


def _key(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _line(event: Event) -> LogLine:
    """A line as the simulator logs one, of an event that was answered."""
    start, answer, end = (event.get(name) for name in ("startTime", "answerTime", "endTime"))
    return {
        "status": 204,
        "event_type": event["eventType"],
        "call_id": event["callId"],
        "application": event["applicationId"],
        "direction": event["direction"],
        "cause": event["cause"],
        "answered": answer is not None,
        "duration_seconds": _between(answer, end),
        "setup_seconds": _between(start, answer),
        "unanswered_seconds": None if answer else _between(start, end),
        "queue_seconds": _between(event.get("enqueuedTime"), start),
        "error_id": event.get("errorId"),
        "sip_response_code": event.get("sipResponseCode"),
    }


def _between(since: Any, until: Any) -> float | None:
    if since is None or until is None:
        return None
    span = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return span / timedelta(seconds=1)
