"""Protocol Buffers' wire format, as much of it as an exposition needs.

https://protobuf.dev/programming-guides/encoding/. Each function but the first takes the number of a
field, 16 at most, and returns the field.
"""

from collections.abc import Iterable
from struct import Struct

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_MORE = 0x80  # in each byte of a number but the last
_DOUBLE = Struct("<d").pack


def varint(value: int) -> bytes:
    """Return a number of at least 0, seven bits a byte."""
    if value < _FEW:
        return _SMALL[value]
    return _FOLLOWED[value & 0x7F] + varint(value >> 7)


def unsigned(number: int, value: int) -> bytes:
    """Encode a uint32, a uint64, an enumeration's value, or an int64 of at least 0."""
    return _SMALL[number << 3 | _VARINT] + varint(value)


def signed(number: int, value: int) -> bytes:
    """Encode a sint32 or a sint64."""
    return _SMALL[number << 3 | _VARINT] + varint(_zigzag(value))


def signed_list(number: int, values: Iterable[int]) -> bytes:
    """Encode several sint64, packed."""
    values = [*values]
    try:
        encoded = b"".join(map(_SIGNED.__getitem__, values))
    except KeyError:
        encoded = b"".join([_SIGNED.get(value) or varint(_zigzag(value)) for value in values])
    return message(number, encoded)


def double(number: int, value: float) -> bytes:
    """Encode a double."""
    return _SMALL[number << 3 | _FIXED64] + _DOUBLE(value)


def message(number: int, encoded: bytes | bytearray) -> bytes:
    """Encode a message, or bytes."""
    size = len(encoded)
    if size < _FEW:
        return _SMALL[number << 3 | _LENGTH] + _SMALL[size] + encoded
    return b"".join((_SMALL[number << 3 | _LENGTH], varint(size), encoded))


def string(number: int, value: str) -> bytes:
    """Encode a string."""
    return message(number, value.encode())


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


_FEW = 1024  # lengths and tags are nearly all below
_FOLLOWED = tuple(bytes((low | _MORE,)) for low in range(_MORE))
_SMALL = (
    *(bytes((value,)) for value in range(_MORE)),
    *(bytes((value & 0x7F | _MORE, value >> 7)) for value in range(_MORE, _FEW)),
)
_SIGNED = {value: varint(_zigzag(value)) for value in range(-511, 512)}
