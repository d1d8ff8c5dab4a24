"""The value of one series: a count, a histogram, and the call that stands for it."""

from bisect import bisect_left

import msgspec

from bandwidth_voice_exporter.voice import CallEnded, labels


class Exemplar(msgspec.Struct, frozen=True, gc=False):
    """A call that a counted value can be looked up by; ``value`` and ``at`` in microseconds.

    For a counter ``value`` is a million: exposed, one call.
    """

    labels: dict[str, str]
    value: int
    at: int


class Count(msgspec.Struct):
    """A counter or a gauge."""

    value: int = 0
    exemplar: Exemplar | None = None

    def add(self, other: "Count") -> None:
        """Count what another counter has counted too."""
        self.value += other.value
        self.exemplar = newer(self.exemplar, other.exemplar)


class Histogram(msgspec.Struct):
    """A histogram of microseconds; ``counts`` are per bucket, the last one above every bound."""

    counts: list[int]
    exemplars: list[Exemplar | None]
    sum: int = 0

    @classmethod
    def of(cls, bounds: tuple[int, ...]) -> "Histogram":
        """Return an empty one."""
        buckets = len(bounds) + 1
        return cls([0] * buckets, [None] * buckets)

    def observe(self, bounds: tuple[int, ...], value: int, exemplar: Exemplar | None) -> None:
        """Count a value in the first bucket that holds it, bounds included."""
        bucket = bisect_left(bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        if exemplar is not None:
            self.exemplars[bucket] = exemplar

    def add(self, other: "Histogram") -> None:
        """Count what another one of the same bounds has counted too."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts, strict=True)]
        self.exemplars = list(map(newer, self.exemplars, other.exemplars))
        self.sum += other.sum


def newer(one: Exemplar | None, other: Exemplar | None) -> Exemplar | None:
    """Return the newer of two exemplars, as far as there are any."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda exemplar: exemplar.at)


def ids_of(call: CallEnded) -> dict[str, str] | None:
    """Return by which ids a call can be looked up.

    Only ids of Bandwidth's form: OpenMetrics allows 128 characters, and no phone number.
    """
    if not call.call_id or not labels.is_call_id(call.call_id):
        return None
    if call.error_id and labels.is_uuid(call.error_id):
        return {"call_id": call.call_id, "error_id": call.error_id}
    return {"call_id": call.call_id}
