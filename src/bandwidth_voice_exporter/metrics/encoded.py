"""Parts of messages that many scrapes have in common."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import starmap

from bandwidth_voice_exporter.metrics import protobuf
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.metrics.series import Exemplar
from bandwidth_voice_exporter.voice import SECOND

_ZERO_THRESHOLD = protobuf.double(6, 2.0**-128)  # as client_golang's


class Layout:
    """A native histogram's buckets in their order, and all that is ``encoded`` but its counts."""

    def __init__(self, native: NativeHistogram) -> None:
        self.buckets = sorted(native.buckets)
        self._schema = native.schema
        self._born = native.born
        self.encoded = b"".join((_frame(native.schema, native.born), *_spans(self.buckets)))

    def holds(self, native: NativeHistogram) -> bool:
        """Whether another has the same: no bucket goes but with the schema."""
        return (len(self.buckets), self._schema, self._born) == (
            len(native.buckets),
            native.schema,
            native.born,
        )


class Exemplars:
    """Encodes exemplars; those of this scrape or the one before may be had again."""

    def __init__(self) -> None:
        self._now: dict[int, tuple[Exemplar, bytes]] = {}
        self._before: dict[int, tuple[Exemplar, bytes]] = {}
        # Of the calls of one scrape, each by its labels: many exemplars share them.
        self._calls: dict[int, tuple[bytes, bytes, bytes]] = {}

    def turn(self) -> None:
        """Begin a scrape."""
        self._before, self._now = self._now, {}
        self._calls.clear()

    def again(self, exemplar: Exemplar) -> bytes:
        """Return the message of one that is likely to have been encoded."""
        known = id(exemplar)
        found = self._now.get(known) or self._before.get(known)
        if found is None or found[0] is not exemplar:
            found = exemplar, self.of(exemplar)
        self._now[known] = found
        return found[1]

    def of(self, exemplar: Exemplar) -> bytes:
        """Return the message of a new one."""
        labels, _, at = self._call(exemplar)
        return labels + protobuf.double(2, exemplar.value / SECOND) + at

    def brief(self, exemplar: Exemplar) -> bytes:
        """Return the message of a new one without its error id, which takes as much as the rest."""
        _, call_id, at = self._call(exemplar)
        return call_id + protobuf.double(2, exemplar.value / SECOND) + at

    def _call(self, exemplar: Exemplar) -> tuple[bytes, bytes, bytes]:
        known = id(exemplar.labels)
        call = self._calls.get(known)
        if call is None:
            first, *more = starmap(label, exemplar.labels.items())
            at = protobuf.message(3, timestamp(exemplar.at))
            call = self._calls[known] = b"".join((first, *more)), first, at
        return call


def label(name: str, value: str) -> bytes:
    """Encode a label."""
    return protobuf.message(1, _name(name) + protobuf.string(2, value))


@lru_cache(maxsize=1024)
def _frame(schema: int, born: int) -> bytes:
    start = protobuf.message(15, timestamp(born))
    return protobuf.signed(5, schema) + _ZERO_THRESHOLD + start


@lru_cache(maxsize=64)
def _name(name: str) -> bytes:
    return protobuf.string(1, name)


def timestamp(at: int) -> bytes:
    """Encode microseconds since 1970."""
    seconds, microseconds = divmod(at, SECOND)
    return protobuf.unsigned(1, seconds) + protobuf.unsigned(2, microseconds * 1_000)


def _spans(buckets: Iterable[int]) -> list[bytes]:
    """Encode runs of buckets without a gap: the gap before each, and its length."""
    spans = []
    begin = end = before = 0
    for bucket in buckets:
        if bucket != end:
            if end > begin:
                spans.append(_span(begin - before, end - begin))
                before = end
            begin = bucket
        end = bucket + 1
    # One span, if of nothing, tells an empty native histogram from a classic one.
    return [*spans, _span(begin - before, end - begin)]


@lru_cache(maxsize=1024)
def _span(gap: int, length: int) -> bytes:
    return protobuf.message(12, protobuf.signed(1, gap) + protobuf.unsigned(2, length))
