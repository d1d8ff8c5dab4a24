"""What a Prometheus would have scraped: the exporter's series, under its own names and labels."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import CAUSES, fault_domain
from lab.alert_quality.ended import Ended
from lab.alert_quality.lengths import ANSWERED_SHARE
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.traffic import BASE_SHARE, PAIRS, Floats

JOB = "bandwidth-voice"
EPOCH = 1_704_067_200_000  # a Monday, in unix milliseconds: when the first minute begins
MINUTE = 60_000
UP = "up"
# Webhooks tell of every call: none is reconciled.
RECONCILED = catalog.RECONCILED_CALLS.name
SCRAPED = (catalog.CALLS.name, catalog.SHORT_CALLS.name, catalog.TALK.name, UP, RECONCILED)


class Replica(msgspec.Struct, frozen=True):
    """An exporter: what it has counted in each minute, and which of its scrapes failed."""

    name: str
    ended: Ended
    failed: npt.NDArray[np.bool_]  # one more than minutes: the first scrape is at the first's begin

    @classmethod
    def steady(cls, ended: Ended) -> "Replica":
        """One that is always there."""
        return cls("exporter:9000", ended, np.zeros(ended.short.shape[1] + 1, np.bool_))

    def scraped(self) -> Iterator[Series]:
        """Yield its series: a sample a minute, and a staleness marker where a scrape fails."""
        times = EPOCH + MINUTE * np.arange(self.failed.size, dtype=np.int64)
        yield Series(self._labels(UP, {}), times, np.where(self.failed, 0.0, 1.0))
        gone = np.flatnonzero(self.failed & ~np.concatenate(([False], self.failed[:-1])))
        kept = ~self.failed
        kept[gone] = True
        for name, labels, increments in self._counters():
            values = np.concatenate(([0.0], np.cumsum(increments)))
            values[gone] = STALE
            yield Series(self._labels(name, labels), times[kept], values[kept])

    def _labels(self, name: str, more: Mapping[str, str]) -> dict[str, str]:
        return {"__name__": name, "job": JOB, "instance": self.name, **more}

    def _counters(self) -> Iterator[tuple[str, dict[str, str], npt.NDArray[np.int64] | Floats]]:
        for index, pair in enumerate(PAIRS):
            labels = {"application": pair.application, "direction": pair.direction}
            for place, cause in enumerate(CAUSES):
                # Of what can never be, one application's zeros stand for all.
                if cause not in BASE_SHARE[pair.direction] and index:
                    continue
                of_cause = {**labels, "cause": cause, "fault_domain": fault_domain(cause)}
                for answered, share in ((0, 1 - ANSWERED_SHARE[place]), (1, ANSWERED_SHARE[place])):
                    if share:
                        more = {**of_cause, "answered": "true" if answered else "false"}
                        yield catalog.CALLS.name, more, self.ended.calls[index, place, answered]
            yield catalog.SHORT_CALLS.name, labels, self.ended.short[index]
            yield catalog.TALK.name, labels, 60 * self.ended.talk[index]
