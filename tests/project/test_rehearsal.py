"""--check-config finds a start's obstacles on the machine, beside a running exporter too."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandwidth_voice_exporter import cli, rehearsal
from bandwidth_voice_exporter.settings import resolve
from testkit.exporter import StartExporter

NOBODY = 65534
WEBHOOK, WEB = "webhook.listen-address", "web.listen-address"
# Of the documentation's network: no machine has it.
NOT_OURS = "192.0.2.1:10060"


def obstacles(directory: Path, **addresses: str) -> list[str]:
    """The obstacles to the start of an exporter with its ledger in a directory."""
    listen = {f"{name}.listen-address": text for name, text in addresses.items()}
    flags = {WEBHOOK: "localhost:0", WEB: "localhost:0", "storage.path": str(directory), **listen}
    return rehearsal.obstacles(
        resolve(flags, {"WEBHOOK_USERNAME": "u", "WEBHOOK_PASSWORD": "p"}, {})
    )


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that this process may look into and not write to."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        yield directory
        if is_root:
            os.seteuid(0)
        directory.chmod(0o755)


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that a program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """A directory that can be made stands in nobody's way, and is not made."""
    assert obstacles(tmp_path / "not" / "there") == []
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written(readable: Path) -> None:
    """A directory in which no ledger can be begun is named, one that cannot be made too."""
    for directory in (readable, readable / "data"):
        assert obstacles(directory) == [f"--storage.path {directory}: Permission denied"]


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """A file in the place of the directory, or above it, is named."""
    file = tmp_path / "file"
    file.write_text("")
    for directory in (file, file / "data"):
        assert obstacles(directory) == [f"--storage.path {directory}: Not a directory"]


def test_addresses_that_cannot_be_had(tmp_path: Path, taken: str) -> None:
    """Each address that another program has, or that is not this machine's, is named."""
    assert obstacles(tmp_path, webhook=taken, web=f"localhost:0,{NOT_OURS}") == [
        f"--{WEBHOOK} {taken}: Address already in use",
        f"--{WEB} {NOT_OURS}: Cannot assign requested address",
    ]


def test_beside_a_running_exporter(exporter: StartExporter, tmp_path: Path) -> None:
    """Its own ledger and addresses are no obstacle, and it goes on; another's ledger has others."""
    running = exporter()
    own = {"webhook": str(running.webhook_address), "web": str(running.ops_address)}
    directory = tmp_path / "exporter" / "data"
    before = sorted(directory.iterdir())
    assert obstacles(directory, **own) == []
    assert obstacles(directory, web=NOT_OURS) != []
    assert len(obstacles(tmp_path / "another", **own)) == 2
    assert sorted(directory.iterdir()) == before
    assert running.ops.request("GET", "/-/ready").status == 200
    assert running.stop() == 0


def test_the_command_says_each(
    tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config has a line for each obstacle, and ends with 1."""
    argv = ["--check-config", f"--{WEBHOOK}={taken}", f"--{WEB}={NOT_OURS}"]
    assert cli.main([*argv, f"--storage.path={tmp_path}"], {}) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"bandwidth-voice-exporter: valid, but does not start here: "
        f"--{WEBHOOK} {taken}: Address already in use\n"
        f"bandwidth-voice-exporter: valid, but does not start here: "
        f"--{WEB} {NOT_OURS}: Cannot assign requested address\n"
    )
