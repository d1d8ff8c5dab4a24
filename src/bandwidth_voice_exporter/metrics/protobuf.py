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
    if value < len(_SMALL):
        return _SMALL[value]
    encoded = bytearray()
    _append(encoded, value)
    return bytes(encoded)


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
    return b"".join((_SMALL[number << 3 | _LENGTH], varint(len(encoded)), encoded))


def string(number: int, value: str) -> bytes:
    """Encode a string."""
    return message(number, value.encode())


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _append(encoded: bytearray, value: int) -> None:
    while value >= _MORE:
        encoded.append(value & 0x7F | _MORE)
        value >>= 7
    encoded.append(value)


def _first(number: int) -> tuple[bytes, ...]:
    encoded = [bytearray() for _ in range(number)]
    for value, one in enumerate(encoded):
        _append(one, value)
    return tuple(map(bytes, encoded))


_SMALL = _first(1024)  # lengths and tags are nearly all of these
_SIGNED = {value: varint(_zigzag(value)) for value in range(-511, 512)}
