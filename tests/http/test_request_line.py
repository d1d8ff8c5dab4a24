"""Addresses that were not escaped by who sends them."""

import pytest

from bandwidth_voice_exporter.http.request_line import escaped

REST = b" HTTP/1.1\r\nHost: \xff x\r\n\r\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"/x?a=b c", b"/x?a=b%20c"),
        ("/x?a=Zo\u00eb".encode(), b"/x?a=Zo%C3%AB"),
        (b"/\xff?a", b"/%FF?a"),
        (b"/x?a=\tb\x01\x7f", b"/x?a=%09b%01%7F"),
        (b"/x?a= HTTP/1.1 b", b"/x?a=%20HTTP/1.1%20b"),
    ],
)
def test_what_an_address_cannot_have_is_escaped(given: bytes, expected: bytes) -> None:
    """Spaces, controls and bytes beyond ASCII are escaped, and nothing behind the line is."""
    assert escaped(b"GET " + given + REST) == b"GET " + expected + REST


@pytest.mark.parametrize(
    "data",
    [
        b"GET /x?a=b%20c" + REST,
        b"POST /x?a=b c" + REST,
        b"GET /x?a=\0" + REST,
        b"GET /x?a=\rb" + REST,
        b"GET /x?a=\nb" + REST,
        b"GET /x?a=b c",
        b"GET /x?a=b c\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"",
    ],
)
def test_what_else_is_wrong_stays_so(data: bytes) -> None:
    """Where there is nothing to escape, no whole line or another method, nothing is changed."""
    assert escaped(data) is None
