"""The wire: what is read of a request, however its bytes come."""

import pytest

from bandwidth_voice_exporter.http.fault import FaultError
from bandwidth_voice_exporter.http.heads import Heads
from bandwidth_voice_exporter.http.limits import Bounds
from bandwidth_voice_exporter.http.wire import Wire


def read(data: bytes, size: int) -> tuple[bytes, int] | str:
    """The URL and the number of headers of a request that comes in parts, or its fault."""
    wire = Wire(Bounds(), Heads())
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


@pytest.mark.parametrize("size", range(1, 14))
@pytest.mark.parametrize("last", [b"0\r\n", b"000;a=b\r\n", b"0\r\nA: b\r\n"])
@pytest.mark.parametrize("first", [b"2\r\n{}\r\n", b"2\r\n\r\n\r\n", b"02\r\n00\r\n", b""])
def test_a_body_in_chunks_ends_where_it_ends(first: bytes, last: bytes, size: int) -> None:
    """Junk behind a body in chunks is not read with it, in whatever parts both come."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for padding in range(size):  # which moves the places where it is cut
        start = b"POST /" + b"x" * padding
        data = head.replace(b"POST /", start) + first + last + b"\r\n\x00"
        assert read(data, size) == (start[5:], 1)


@pytest.mark.parametrize("size", [10**6, 333, 7, 1])
@pytest.mark.parametrize("behind", [b"\r\n", b"BAD LINE\r\n\r\n", b"x: \x00\r\n\r\n"])
@pytest.mark.parametrize(
    "start",
    [b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"],
    ids=["headers", "trailers"],
)
def test_too_many_are_found_before_a_bad_one(start: bytes, behind: bytes, size: int) -> None:
    """The 101st header or trailer is one too many, whatever is in the line behind it."""
    assert read(start + b"a:b\r\n" * 101 + behind, size) == "headers"
    assert read(start + b"a:b\r\n" * 99 + behind, size) in ((b"/", 99), (b"/", 1), "http")
