"""Addresses of both families, from the real program."""

import socket
from collections.abc import Mapping
from contextlib import closing

import pytest

from testkit.client import Client
from testkit.exporter import StartExporter

CREDENTIALS = {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p"}
WRONG = {"Authorization": "Basic dTp4", "X-Forwarded-For": "192.0.2.7"}


def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="did not run: no IPv6 on this machine")


def get(address: str, path: str, headers: Mapping[str, str] | None = None) -> int:
    """The status of a GET."""
    with closing(Client(address)) as client:
        return client.request("GET", path, headers=headers).status


@pytest.mark.parametrize(("webhook", "web"), [("", "[::]"), ("localhost", "localhost")])
def test_both_families_are_answered(exporter: StartExporter, webhook: str, web: str) -> None:
    """Without a host, with [::] and on localhost, a listener answers IPv4 and IPv6."""
    addresses = (f"--webhook.listen-address={webhook}:0", f"--web.listen-address={web}:0")
    running = exporter(*addresses, env=CREDENTIALS)
    for address, path in (
        (running.webhook_address, "/webhooks/voice/ready"),
        (running.ops_address, "/-/ready"),
    ):
        port = address.rpartition(":")[2]
        assert [get(f"{one}:{port}", path) for one in ("127.0.0.1", "[::1]")] == [200, 200]


def test_several_addresses_are_one_listener(exporter: StartExporter) -> None:
    """Each address of --web.listen-address has the metrics, and all end in order."""
    running = exporter("--web.listen-address=127.0.0.1:0", "--web.listen-address=[::1]:0")
    ready = [line["address"] for line in running.log_lines() if line["msg"] == "ops listener ready"]
    assert [get(address, "/metrics") for address in ready] == [200, 200]
    assert running.stop() == 0


def test_a_mapped_address_is_an_ipv4_one(exporter: StartExporter) -> None:
    """A proxy that connects by IPv4 to both families is trusted in whichever way it is written."""
    running = exporter(
        "--webhook.listen-address=:0",
        "--webhook.trusted-proxies=::ffff:127.0.0.0/104",
        env=CREDENTIALS,
    )
    port = running.webhook_address.rpartition(":")[2]
    assert get(f"127.0.0.1:{port}", "/webhooks/voice?eventType=disconnect", WRONG) == 401
    line = running.wait_for_line(lambda line: "client" in line, "the refusal is logged")
    assert line["client"] == "192.0.2.7"
