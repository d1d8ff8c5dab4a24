"""The counters that an exporter would have shown, had it counted simulated calls for a while."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.traffic import Traffic, calls
from bandwidth_voice_exporter.voice.causes import fault_domain
from bandwidth_voice_exporter.voice.event_types import DISCONNECT
from lab.alert_quality.samples import Series

_SHORT_MS = 6_000
_Key = tuple[str, tuple[tuple[str, str], ...]]


def counters(
    traffic: Traffic, names: Mapping[str, str], labels: Mapping[str, str], start: int, seconds: int
) -> Iterator[Series]:
    """Yield a sample a second from ``start`` (unix milliseconds) on, of what alerts on calls read.

    ``names`` are applications' names by id, ``labels`` those that Prometheus would add.
    """
    increments: dict[_Key, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(seconds + 1))
    for call in calls(traffic):
        if call.end >= seconds:
            break
        if call.event_type == DISCONNECT:
            for key, value in _counts(call, names):
                increments[key][int(call.end) + 1] += value
    times = start + 1000 * np.arange(seconds + 1, dtype=np.int64)
    yield Series({"__name__": "up", **labels}, times, np.ones(seconds + 1))
    for (name, own), values in increments.items():
        yield Series({"__name__": name, **labels, **dict(own)}, times, np.cumsum(values))


def _counts(call: Call, names: Mapping[str, str]) -> Iterator[tuple[_Key, float]]:
    assert call.application is not None, "a disconnect has an application"
    line = (("application", names[call.application]), ("direction", call.direction))
    how = (
        ("cause", call.cause),
        ("fault_domain", fault_domain(call.cause)),
        ("answered", "true" if call.answered else "false"),
    )
    yield (catalog.CALLS.name, line + how), 1
    if call.talk_ms is not None:
        yield (catalog.TALK.name, line), call.talk_ms / 1000
        if call.talk_ms <= _SHORT_MS:
            yield (catalog.SHORT_CALLS.name, line), 1
