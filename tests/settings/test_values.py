"""Values that people write."""

from collections.abc import Callable
from typing import Any

import pytest

from bandwidth_voice_exporter.settings import values
from bandwidth_voice_exporter.settings.values import Address

A = "93de2206-9669-4e07-948d-329f4b722ee2"
B = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:10061", Address("127.0.0.1", 10061)),
        (":10060", Address("", 10060)),
        ("[::1]:0", Address("::1", 0)),
        ("[::]:65535", Address("::", 65535)),
        ("localhost:1", Address("localhost", 1)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    """An address is host:port, with IPv6 in brackets, and is written as it was read."""
    assert values.address(text) == expected
    assert str(expected) == text


def test_several_addresses() -> None:
    """Addresses are put between commas, each in its own form."""
    expected = (Address("", 1), Address("::1", 2), Address("localhost", 3))
    assert values.addresses(":1,[::1]:2, localhost:3") == expected


@pytest.mark.parametrize("text", ["", ",", ":1,", ":1 :2"])
def test_no_several_addresses(text: str) -> None:
    """There is at least one, and nothing between commas is a mistake."""
    with pytest.raises(ValueError, match=r"host:port|from 0 to 65535"):
        values.addresses(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::/0", "::/0"),
        ("fd00::/8", "fd00::/8"),
    ],
)
def test_networks(text: str, expected: str) -> None:
    """An IPv4-mapped network is the IPv4 network: clients are compared as such."""
    assert list(map(str, values.networks(text))) == [expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "host:port"),
        ("127.0.0.1", "host:port"),
        ("10061", "host:port"),
        ("::1:80", "brackets"),
        ("http://x:80", "host:port"),
        ("x:", "from 0 to 65535"),
        ("x:65536", "from 0 to 65535"),
        ("x:-1", "from 0 to 65535"),
        ("x:\u0661", "from 0 to 65535"),
        ("x:http", "from 0 to 65535"),
    ],
)
def test_no_addresses(text: str, said: str) -> None:
    """A text that is no address is refused, and the error says how an address is written."""
    with pytest.raises(ValueError, match=said):
        values.address(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104  # asked about, not bound
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:  # noqa: FBT001  # the table's expectation
    """Only an address that no other machine reaches is loopback."""
    assert Address(host, 1).is_loopback() is expected


@pytest.mark.parametrize("text", ["/", "/metrics", "/a/b-c_d.e~f", "/Webhooks/voice/"])
def test_paths(text: str) -> None:
    """A path starts with a slash and needs no escaping."""
    assert values.path(text) == text


@pytest.mark.parametrize(
    "text", ["", "metrics", "/a b", "/a?b", "/a#b", "/{x}", "/%20", "/é", "/a\n"]
)
def test_no_paths(text: str) -> None:
    """A text that is no path, or that a URL would have to escape, is refused."""
    with pytest.raises(ValueError, match="path"):
        values.path(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (values.size, "65536", 65536),
        (values.size, "1B", 1),
        (values.size, "64KiB", 65536),
        (values.size, "64 KiB", 65536),
        (values.size, "2GiB", 2**31),
        (values.size, "3MiB", 3 * 2**20),
        (values.duration, "65s", 65.0),
        (values.duration, "1m30s", 90.0),
        (values.duration, "500ms", 0.5),
        (values.duration, "7d", 604_800.0),
        (values.duration, "1.5h", 5400.0),
        (values.duration, "0s", 0.0),
        (values.count, "0", 0),
        (values.count, "100", 100),
        (values.switch, "true", True),
        (values.switch, "Yes", True),
        (values.switch, "1", True),
        (values.switch, "FALSE", False),
        (values.switch, "no", False),
        (values.switch, "0", False),
        (values.choice("a", "b"), "B", "b"),
        (values.choice("a", "b", c="a"), "c", "a"),
    ],
)
def test_parsed(parse: Callable[[str], Any], text: str, expected: object) -> None:
    """A size is in bytes, a duration in seconds, a count a whole number, a switch a truth."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "texts", "said"),
    [
        (values.size, ("", "0", "0KiB", "-1", "64KB", "64kib", "1.5MiB", "KiB", "\u0661"), "size"),
        (
            values.duration,
            ("", "65", "s", "-1s", "1 m", "1w", "5S", "1m 30s", "\u0661s"),
            "duration",
        ),
        (values.count, ("", "-1", "1.0", "1e3", "ten", "\u0661"), "whole number"),
        (values.switch, ("", "on", "y", "2"), "neither true nor false"),
        (values.choice("a", "b", c="a"), ("", "d", "ab"), "not one of a, b"),
    ],
)
def test_refused(parse: Callable[[str], Any], texts: tuple[str, ...], said: str) -> None:
    """A text that is no value of its kind is refused, and the error says what the kind allows."""
    for text in texts:
        with pytest.raises(ValueError, match=said):
            parse(text)


@pytest.mark.parametrize("parse", [values.size, values.count])
def test_endless_numbers_are_refused(parse: Callable[[str], Any]) -> None:
    """A number of thousands of digits is refused like any other mistake."""
    with pytest.raises(ValueError, match=r"."):
        parse("9" * 5000)


def test_endless_duration_is_refused() -> None:
    """A duration too long for a number is a mistake, not infinity."""
    with pytest.raises(ValueError, match="duration"):
        values.duration("9" * 400 + "s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (f"{A}=ivr", {A: "ivr"}),
        (f" {A} = Contact centre , {B}=ivr,", {A: "Contact centre", B: "ivr"}),
        (f"{A.upper()}=ivr", {A: "ivr"}),
        (f"{A}=a=b", {A: "a=b"}),
    ],
)
def test_applications(text: str, expected: dict[str, str]) -> None:
    """Applications are ID=NAME pairs with commas; an id is kept in lower case."""
    assert values.applications(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ivr", "form ID=NAME"),
        (A, "form ID=NAME"),
        ("5=ivr", "UUID"),
        (f"{A}=", "printable"),
        (f"{A}=a\tb", "printable"),
        (f"{A}={'x' * 65}", "printable"),
        (f"{A}=other", "cannot be a name"),
        (f"{A}=missing", "cannot be a name"),
        (f"{A}={B}", "cannot be a name"),
        (f"{A}=ivr,{A.upper()}=dialler", "twice"),
        (f"{A}=ivr,{B}=ivr", "twice"),
    ],
)
def test_no_applications(text: str, said: str) -> None:
    """A name that would be mistaken for another series is refused."""
    with pytest.raises(ValueError, match=said):
        values.applications(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/", ""),
        ("voice", "/voice"),
        ("/voice/", "/voice"),
        ("/a/b-c", "/a/b-c"),
        ("//voice", "/voice"),
    ],
)
def test_a_prefix_is_read_as_prometheus_does(text: str, parsed: str) -> None:
    """Slashes at the ends of a prefix make no difference."""
    assert values.prefix(text) == parsed


@pytest.mark.parametrize("text", ["/a//b", "/a/../b", "/.", "/a b", "/a?b", "/{x}"])
def test_no_prefix(text: str) -> None:
    """A prefix that a browser or a proxy would write otherwise is refused."""
    with pytest.raises(ValueError, match="path"):
        values.prefix(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("https://voice.example", values.Url("https", "voice.example", 443, "")),
        ("http://Voice.example:8080/a/", values.Url("http", "voice.example", 8080, "/a")),
        ("http://[2001:db8::7]:10060/a/b", values.Url("http", "2001:db8::7", 10060, "/a/b")),
    ],
)
def test_an_external_url(text: str, parsed: values.Url) -> None:
    """Scheme, host, port and path of an address are told apart."""
    assert values.url(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        *(
            "voice.example",
            "/voice",
            "ftp://voice.example",
            "https://",
            "https://u:p@voice.example",
        ),
        *("https://voice.example/?q=1", "https://voice.example/#x", "http://voice.example:port"),
        *("http://voice.example:70000", "http://[::1", "http://voice.example/a/../b"),
    ],
)
def test_no_external_url(text: str) -> None:
    """A URL that is not a valid address of http or https, or has more than a path, is refused."""
    with pytest.raises(ValueError, match=r".+"):
        values.url(text)


@pytest.mark.parametrize("text", ["https://a.example", "a.example:80", "a.example/", "*", "a b"])
def test_no_host(text: str) -> None:
    """A host is a name alone."""
    with pytest.raises(ValueError, match="name"):
        values.hosts(text)
