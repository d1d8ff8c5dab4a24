"""Parts of messages that many scrapes have in common."""

from collections.abc import Iterable
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
        self.encoded = b"".join(
            (
                protobuf.signed(5, native.schema),
                _ZERO_THRESHOLD,
                *_spans(self.buckets),
                protobuf.message(15, timestamp(native.born)),
            )
        )

    def holds(self, native: NativeHistogram) -> bool:
        """Whether another has the same: no bucket goes but with the schema."""
        return (len(self.buckets), self._schema, self._born) == (
            len(native.buckets),
            native.schema,
            native.born,
        )


class Exemplars:
    """Exemplars as they were encoded in this scrape or the one before."""

    def __init__(self) -> None:
        self._now: dict[int, tuple[Exemplar, bytes]] = {}
        self._before: dict[int, tuple[Exemplar, bytes]] = {}
        self._labels: dict[int, bytes] = {}  # of one scrape, many of which share them

    def turn(self) -> None:
        """Begin a scrape."""
        self._before, self._now = self._now, {}
        self._labels.clear()

    def of(self, exemplar: Exemplar) -> bytes:
        """Return the message of one."""
        known = id(exemplar)
        found = self._now.get(known) or self._before.get(known)
        if found is None or found[0] is not exemplar:
            found = exemplar, self._encoded(exemplar)
        self._now[known] = found
        return found[1]

    def _encoded(self, exemplar: Exemplar) -> bytes:
        known = id(exemplar.labels)
        labels = self._labels.get(known)
        if labels is None:
            labels = self._labels[known] = b"".join(starmap(label, exemplar.labels.items()))
        value = protobuf.double(2, exemplar.value / SECOND)
        return labels + value + protobuf.message(3, timestamp(exemplar.at))


def label(name: str, value: str) -> bytes:
    """Encode a label."""
    return protobuf.message(1, protobuf.string(1, name) + protobuf.string(2, value))


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


def _span(gap: int, length: int) -> bytes:
    return protobuf.message(12, protobuf.signed(1, gap) + protobuf.unsigned(2, length))
