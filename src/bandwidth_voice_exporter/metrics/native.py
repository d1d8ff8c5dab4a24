"""Native histograms: Prometheus's own buckets, each some nine per cent wider than the last.

A bucket ``i`` of a schema ``n`` holds the values in ``(base ** (i - 1), base ** i]`` with
``base = 2 ** 2 ** -n``, as https://prometheus.io/docs/specs/native_histograms/ defines them.
"""

from bisect import bisect_left
from math import frexp

import msgspec

from bandwidth_voice_exporter.metrics.series import Exemplar, Histogram, newer
from bandwidth_voice_exporter.voice import SECOND

SCHEMA = 3
MAX_BUCKETS = 160
_LOWEST_SCHEMA = -4

# The upper bounds of the buckets between a half and one.
_FRACTIONS = tuple(2 ** (step / 2**SCHEMA - 1) for step in range(2**SCHEMA))


class NativeHistogram(msgspec.Struct, dict=True):
    """Observed microseconds, in buckets of seconds by their index; ``zero`` is how many were 0.

    ``born`` is when it began to count (microseconds since 1970). Above MAX_BUCKETS its resolution
    halves: ``schema`` is one less, and each two buckets are one.
    """

    born: int
    schema: int = SCHEMA
    zero: int = 0
    sum: int = 0
    buckets: dict[int, int] = {}
    exemplar: Exemplar | None = None  # the newest: Prometheus keeps those that it has seen

    @property
    def count(self) -> int:
        """How many values were observed."""
        return self.zero + sum(self.buckets.values())

    def observe(self, value: int, exemplar: Exemplar | None) -> None:
        """Count a value; none is below 0."""
        self.__dict__.clear()
        self.sum += value
        if exemplar is not None:
            self.exemplar = exemplar
        if value <= 0:
            self.zero += 1
            return
        bucket = bucket_of(value / SECOND, self.schema)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        while len(self.buckets) > MAX_BUCKETS and self.schema > _LOWEST_SCHEMA:
            self.halve()

    def add(self, other: "NativeHistogram") -> None:
        """Count what another one has counted too, in the wider of both buckets."""
        self.__dict__.clear()
        more = other.frozen()
        more = msgspec.structs.replace(more, buckets=more.buckets.copy())
        while self.schema > more.schema:
            self.halve()
        while more.schema > self.schema:
            more.halve()
        for bucket, count in more.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.born = min(self.born, more.born)
        self.zero += more.zero
        self.sum += more.sum
        self.exemplar = newer(self.exemplar, more.exemplar)
        while len(self.buckets) > MAX_BUCKETS and self.schema > _LOWEST_SCHEMA:
            self.halve()

    def frozen(self) -> "NativeHistogram":
        """Return one that stays as this is now: the same until another value is observed."""
        frozen: NativeHistogram | None = self.__dict__.get("_copy")
        if frozen is None:
            frozen = self.__dict__["_copy"] = msgspec.structs.replace(
                self, buckets=self.buckets.copy()
            )
        return frozen

    def halve(self) -> None:
        """Make each two buckets one, of the next wider schema."""
        merged: dict[int, int] = {}
        for bucket, count in self.buckets.items():
            wider = -(-bucket // 2)
            merged[wider] = merged.get(wider, 0) + count
        self.buckets = merged
        self.schema -= 1


class Both(msgspec.Struct, frozen=True):
    """A classic histogram and a native one of the same calls."""

    classic: Histogram
    native: NativeHistogram

    def observe(self, bounds: tuple[int, ...], value: int, exemplar: Exemplar | None) -> None:
        """Count a value in both."""
        self.classic.observe(bounds, value, exemplar)
        self.native.observe(value, exemplar)


def bucket_of(seconds: float, schema: int) -> int:
    """Return the index of the bucket that holds a value above 0."""
    fraction, exponent = frexp(seconds)
    finest = bisect_left(_FRACTIONS, fraction) + (exponent - 1) * len(_FRACTIONS)
    return -(-finest >> (SCHEMA - schema))
