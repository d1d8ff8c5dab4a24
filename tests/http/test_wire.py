"""The wire: what is read of a request, however its bytes come."""

import pytest

from bandwidth_voice_exporter.http.limits import Limits
from bandwidth_voice_exporter.http.wire import FaultError, Wire


def read(data: bytes, size: int) -> tuple[bytes, int] | str:
    """The URL and the number of headers of a request that comes in parts, or its fault."""
    wire = Wire(Limits())
    try:
        for start in range(0, len(data), size):
            part = data[start : start + size]
            place = 0
            while place < len(part) and not wire.is_whole:
                place = wire.read(part, place)
    except FaultError as error:
        return error.fault.reason
    return (wire.url, len(wire.headers)) if wire.is_whole else "not whole"


@pytest.mark.parametrize("size", [10**6, 7, 1])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET /x?a=\xc3\xa4 b HTTP/1.1\r\nhost: a\r\n\r\n", (b"/x?a=%C3%A4%20b", 1)),
        (b"GET /x?a=\xff HTTP/1.1\r\nbad header\r\n\r\n", "http"),
        (b"GET /x?a=b HTTP/1.1\r\nbad header\r\n\r\n", "http"),
        (b"GET /" + b"\xff" * 9000 + b" HTTP/1.1\r\n\r\n", "http"),
        (b"GET " * 5000, "http"),
        (b"POST /\xff HTTP/1.1\r\n\r\n", "http"),
    ],
    ids=["escapable", "escapable-and-bad", "bad", "too-long", "endless", "post"],
)
def test_an_address_is_escaped_however_it_comes(
    data: bytes, expected: tuple[bytes, int] | str, size: int
) -> None:
    """A GET whose address was not escaped is read, and the parts that it comes in are no matter."""
    assert read(data, size) == expected
