"""A sorted table of fingerprints and their rows that never changes: nine bytes a row."""

import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence

import msgspec

BITS = 48  # of a fingerprint
_BUCKET_BITS = 12
_REST_BITS = BITS - _BUCKET_BITS
_ROW_BITS = 64 - _REST_BITS
_REST = (1 << _REST_BITS) - 1
_ROW = (1 << _ROW_BITS) - 1
LONGEST = _ROW // 2  # rows from a piece's first to its last
_BUCKETS = 1 << _BUCKET_BITS

_STEP = 2048  # rows between two pauses of what makes a piece, a millisecond or two


class Piece(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The rows of a run between two, both included, by fingerprint.

    Each entry is the fingerprint without its first bits, which are the bucket, and the last bits of
    the row; ``ends`` are those of the buckets. ``bits`` tell seven of eight that are not there.
    """

    first: int
    last: int
    ends: "array[int]"
    bits: bytes
    entries: "array[int]"

    def rows(self, fingerprint: int) -> Iterator[int]:
        """Yield the rows that may hold a leg."""
        bucket, rest = fingerprint >> _REST_BITS, fingerprint & _REST
        end = self.ends[bucket + 1]
        at = bisect_left(self.entries, rest << _ROW_BITS, self.ends[bucket], end)
        while at < end and self.entries[at] >> _ROW_BITS == rest:
            yield self.first + ((self.entries[at] - self.first) & _ROW)
            at += 1

    def shift(self) -> int:
        """Return how far a fingerprint is shifted to give its place in the bits."""
        return BITS - (len(self.bits).bit_length() - 1)


Building = Generator[None, None, Piece]


def packed(piece: Piece) -> bytes:
    """Return a piece's tables as bytes."""
    return b"".join((piece.ends.tobytes(), piece.bits, piece.entries.tobytes()))


def checksum(packed: bytes) -> int:
    """Return a sum that shows whether packed tables are unchanged, in this byte order too."""
    return zlib.crc32(packed, zlib.crc32(sys.byteorder.encode()))


def unpacked(first: int, last: int, packed: bytes) -> Piece:
    """Return the piece of packed tables whose sum is right."""
    head = 4 * (_BUCKETS + 1)
    ends = array("I", packed[:head])
    size = _bits_size(ends[-1])
    return Piece(first, last, ends, packed[head : head + size], array("Q", packed[head + size :]))


def _bits_size(rows: int) -> int:
    return 1 << max(3, (rows - 1).bit_length())


def sealed(first: int, last: int, legs: Iterable[tuple[int, int]]) -> Building:
    """Make a piece of fingerprints and their rows, step by step."""
    buckets: list[list[int]] = [[] for _ in range(_BUCKETS)]
    size = 0
    for mark, row in legs:
        buckets[mark >> _REST_BITS].append((mark & _REST) << _ROW_BITS | row & _ROW)
        size += 1
        if size % _STEP == 0:
            yield
    return (yield from _built(first, last, size, buckets))


def merged(pieces: Sequence[Piece]) -> Building:
    """Make one piece of neighbours, step by step."""

    def buckets() -> Iterator[list[int]]:
        for bucket in range(_BUCKETS):
            yield [
                entry
                for piece in pieces
                for entry in piece.entries[piece.ends[bucket] : piece.ends[bucket + 1]]
            ]

    size = sum(len(piece.entries) for piece in pieces)
    return (yield from _built(pieces[0].first, pieces[-1].last, size, buckets()))


def _built(first: int, last: int, size: int, buckets: Iterable[list[int]]) -> Building:
    entries = array("Q")
    ends = array("I", [0])
    bits = bytearray(_bits_size(size))
    shift = BITS - (len(bits).bit_length() - 1)
    pause = _STEP
    for bucket, part in enumerate(buckets):
        part.sort()
        entries.fromlist(part)
        ends.append(len(entries))
        top = bucket << _REST_BITS
        for entry in part:
            mark = top | entry >> _ROW_BITS
            bits[mark >> shift] |= 1 << (mark & 7)
        if len(entries) >= pause:
            pause += _STEP
            yield
    return Piece(first, last, ends, bytes(bits), entries)
