"""Series with their samples, and the bytes in which Prometheus takes them (remote write 1.0)."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality.traffic import Floats

STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]  # this very NaN means "gone"
_AT_ONCE = 400_000  # samples in a request, about 7 MB
_LITERAL = 1 << 16  # snappy's blocks are this long

# A Sample message: field 1 a double, field 2 a varint of six bytes (true from 1989 to 2109), inside
# field 2 of its TimeSeries.
_SAMPLE = np.dtype(
    [
        ("outer", "u1"),
        ("length", "u1"),
        ("value_tag", "u1"),
        ("value", "<f8"),
        ("time_tag", "u1"),
        ("time", "u1", 6),
    ]
)


class Series(msgspec.Struct, frozen=True):
    """One time series; ``times`` in unix milliseconds, ascending."""

    labels: Mapping[str, str]
    times: npt.NDArray[np.int64]
    values: Floats


def requests(series: Iterable[Series]) -> Iterator[bytes]:
    """Yield bodies of remote-write requests that together carry all samples."""
    batch: list[bytes] = []
    size = 0
    for one in series:
        batch.append(_field(1, _labels(one.labels) + _samples(one)))
        size += one.times.size
        if size >= _AT_ONCE:
            yield _uncompressed(b"".join(batch))
            batch, size = [], 0
    if batch:
        yield _uncompressed(b"".join(batch))


def _labels(labels: Mapping[str, str]) -> bytes:
    pairs = sorted(labels.items())
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in pairs
    )


def _samples(series: Series) -> bytes:
    rows = np.empty(series.times.size, _SAMPLE)
    rows["outer"] = 0x12
    rows["length"] = _SAMPLE.itemsize - 2
    rows["value_tag"] = 0x09
    rows["value"] = series.values
    rows["time_tag"] = 0x10
    for place in range(6):
        more = 0x80 if place < 5 else 0
        rows["time"][:, place] = (series.times >> (7 * place)) & 0x7F | more
    return rows.tobytes()


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _uncompressed(content: bytes) -> bytes:
    """Wrap bytes as snappy does, all of them literal: nothing is saved, and nothing spent."""
    parts = [_varint(len(content))]
    for begin in range(0, len(content), _LITERAL):
        block = content[begin : begin + _LITERAL]
        parts += [b"\xf4", (len(block) - 1).to_bytes(2, "little"), block]
    return b"".join(parts)
