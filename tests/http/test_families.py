"""Addresses of both families, from the real program."""

import shutil
import socket
import subprocess
import sys
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


# Where listeners are in a network of its own that has the addresses named.
ELSEWHERE = """
import fcntl, os, socket, struct, sys
from bandwidth_voice_exporter.http import address_of, bound
from bandwidth_voice_exporter.settings import Address

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    up = struct.pack("16sH14x", b"lo", 0x1)
    fcntl.ioctl(control, 0x8914, up)  # SIOCSIFFLAGS: with it come both addresses
    if "127.0.0.1" not in sys.argv:
        nothing = struct.pack("16sHH4s8x", b"lo", socket.AF_INET, 0, bytes(4))
        fcntl.ioctl(control, 0x8916, nothing)  # SIOCSIFADDR
if "::1" not in sys.argv:
    with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as switch:
        switch.write("1")
for host in ("localhost", ""):
    with bound([Address(host, 0)], "flag") as sockets:
        print(*(address_of(one).host for one in sockets))
        for sock in sockets:
            sock.listen()
            for own in sys.argv[1:]:
                if host == "" or own == address_of(sock).host:
                    socket.create_connection((own, address_of(sock).port)).close()
"""

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


@pytest.fixture
def apart() -> tuple[str, ...]:
    """The command that runs another one in a network of its own."""
    command = ("unshare", "--map-root-user", "--net")
    if (
        shutil.which(command[0]) is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("did not run: no network can be made on this machine")
    return command


@pytest.mark.program
@pytest.mark.program
@pytest.mark.parametrize("own", ["127.0.0.1", "::1"])
def test_one_family_is_enough(apart: tuple[str, ...], own: str) -> None:
    """On a machine of IPv6 alone, or of IPv4 alone, localhost and :PORT are what it has."""
    command = [*apart, sys.executable, "-c", ELSEWHERE, own]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, f"{own}\n::\n"), ended.stderr
