"""The directory of the ledger: whose it is, and what kind of disk it is on."""

from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import directory
from bandwidth_voice_exporter.ledger.directory import LOCK, Claim, StorageError, filesystem
from testkit.exporter import MODULE, environment
from testkit.process import Process

MOUNTINFO = """\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
30 22 0:26 / /srv rw,relatime shared:1 - nfs4 10.0.0.1:/srv rw
31 30 0:27 / /srv/local rw,relatime - xfs /dev/vdb rw
32 22 0:28 / /mnt/two\\040words rw - fuse.sshfs host:/ rw
33 22 0:29 / /srvother rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/lib/exporter", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/exporter", "nfs4"),
        ("/srv/local/exporter", "xfs"),
        ("/srvother/exporter", "tmpfs"),
        ("/mnt/two words/exporter", "fuse.sshfs"),
    ],
)
def test_filesystem(directory: str, kind: str) -> None:
    """The type of a directory's file system is that of the longest mount point above it."""
    assert filesystem(Path(directory), MOUNTINFO) == kind


def test_filesystem_of_no_mounts() -> None:
    """Where nothing is known of mounts, nothing is said."""
    assert filesystem(Path("/var"), "") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"])
def test_network_file_systems_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory on a network file system is refused by its name unless allowed."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:1 / / rw - {kind} server:/ rw\n")
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    data = tmp_path / "data"
    with pytest.raises(StorageError, match=rf"{data}.*\({kind}\).*allow-network-fs"):
        Claim(data, allow_network_fs=False)
    Claim(data, allow_network_fs=True).release()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs"])
def test_local_file_systems_are_taken(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory on a local disk, a container's included, is taken."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:1 / / rw - {kind} /dev/vda rw\n")
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    Claim(tmp_path / "data", allow_network_fs=False).release()


def test_claimed_once(tmp_path: Path) -> None:
    """A directory is claimed by one at a time, and free again when released."""
    first = Claim(tmp_path, allow_network_fs=False)
    with pytest.raises(StorageError, match=str(tmp_path)):
        Claim(tmp_path, allow_network_fs=False)
    first.release()
    Claim(tmp_path, allow_network_fs=False).release()


def test_renewed(tmp_path: Path) -> None:
    """A claim whose lock was deleted is not held until it is renewed."""
    claim = Claim(tmp_path / "data", allow_network_fs=False)
    assert claim.is_held()
    (tmp_path / "data" / LOCK).unlink()
    assert not claim.is_held()
    claim.renew()
    assert claim.is_held()
    claim.release()


@pytest.mark.program
@pytest.mark.parametrize("path", ["file", "file/below", "/proc/nowhere"])
def test_what_is_no_directory(path: str, tmp_path: Path) -> None:
    """A storage path that cannot be a directory ends the start with a message that names it."""
    (tmp_path / "file").touch()
    listen = ["--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    command = [*MODULE, *listen, f"--storage.path={path}"]
    with Process(command, tmp_path, environment(tmp_path)) as refused:
        assert refused.wait() == 1
        assert f"--storage.path {path}" in refused.output()
        assert "Traceback" not in refused.output()
