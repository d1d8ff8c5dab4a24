"""The address that the log gives for a request."""

from ipaddress import ip_network

import pytest

from bandwidth_voice_exporter.http.peer import client_of
from testkit.exporter import StartExporter

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("connection", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.2.3.4", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("10.0.0.1", "+14155550123", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "fe80::1%+14155551234", "fe80::1"),
        ("fd00::1", "fe80::1%\x85x", "fe80::1"),
        ("fe80::7%eth0", "", "fe80::7"),
        ("fd00::1", "2001:DB8:0:0::7", "2001:db8::7"),
    ],
)
def test_client(connection: str, forwarded: str, expected: str) -> None:
    """It is the connection's, or the last one that a trusted proxy has seen."""
    scope = {
        "client": (connection, 1234),
        "headers": [(b"x-forwarded-for", forwarded.encode())] if forwarded else [],
    }
    assert client_of(scope, PROXIES) == expected


def test_several_headers() -> None:
    """Repeated headers are one list."""
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-for", b"198.51.100.1")]
    scope = {"client": ("10.0.0.1", 1234), "headers": headers}
    assert client_of(scope, PROXIES) == "198.51.100.1"


def test_refusals_in_the_log(exporter: StartExporter) -> None:
    """Refused credentials are logged with the client that a trusted proxy names, once a minute."""
    secrets = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "correct horse"}
    running = exporter("--webhook.trusted-proxies=127.0.0.1,::1/128", env=secrets)
    for last in range(5):
        headers = {"Authorization": "Basic eDp5", "X-Forwarded-For": f"198.51.100.{last}"}
        answer = running.send({}, headers)
        assert answer.status == 401
    line = running.wait_for_line(lambda line: "credentials" in line["msg"], "the refusal")
    assert line["client"] == "198.51.100.0"
    assert sum("credentials" in line["msg"] for line in running.log_lines()) == 1
    rejected = ("bandwidth_voice_exporter_rejected_total", frozenset({("reason", "unauthorized")}))
    assert running.metrics()[rejected] == 5
