"""Protocol Buffers' wire format, as much of it as an exposition needs.

https://protobuf.dev/programming-guides/encoding/. Each function but the first takes the number of a
field and returns the field.
"""

from struct import pack

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_MORE = 0x80  # in each byte of a number but the last


def varint(value: int) -> bytes:
    """Return a number of at least 0, seven bits a byte."""
    if value < _MORE:
        return bytes((value,))
    encoded = bytearray()
    while value >= _MORE:
        encoded.append(value & 0x7F | _MORE)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def unsigned(number: int, value: int) -> bytes:
    """Encode a uint32, a uint64, an enumeration's value, or an int64 of at least 0."""
    return varint(number << 3 | _VARINT) + varint(value)


def signed(number: int, value: int) -> bytes:
    """Encode a sint32 or a sint64."""
    return unsigned(number, _zigzag(value))


def signed_list(number: int, values: list[int]) -> bytes:
    """Encode several sint64, packed."""
    return message(number, b"".join([varint(_zigzag(value)) for value in values]))


def double(number: int, value: float) -> bytes:
    """Encode a double."""
    return varint(number << 3 | _FIXED64) + pack("<d", value)


def message(number: int, encoded: bytes) -> bytes:
    """Encode a message, or bytes."""
    return varint(number << 3 | _LENGTH) + varint(len(encoded)) + encoded


def string(number: int, value: str) -> bytes:
    """Encode a string."""
    return message(number, value.encode())


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1
