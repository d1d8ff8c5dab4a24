"""The directory of the ledger: whose it is, and what kind of disk it is on."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import directory, key
from bandwidth_voice_exporter.ledger.directory import LOCK, Claim, StorageError, filesystem
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.key import KEY
from bandwidth_voice_exporter.ledger.opening import opened
from bandwidth_voice_exporter.ledger.runtime import Runtime
from bandwidth_voice_exporter.ledger.store import FILE, Store
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, catalog
from bandwidth_voice_exporter.settings import resolve
from bandwidth_voice_exporter.voice import Clock
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


NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "virtiofs", "vboxsf", "vmhgfs"),
    *(
        "fuse.vmhgfs-fuse",
        "fakeowner",
        "fuse.grpcfuse",
        "fuse.ceph-fuse",
        "fuse.mfs",
        "fuse.juicefs",
    ),
    *(
        "fuse.s3fs",
        "fuse.goofys",
        "fuse.gcsfuse",
        "fuse.blobfuse2",
        "fuse.rclone",
        "fuse.seaweedfs",
    ),
)
LOCAL = (
    *("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "f2fs", "fuseblk", "fuse.fuse-overlayfs"),
)


@pytest.mark.parametrize("kind", NETWORK)
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


@pytest.mark.parametrize("kind", LOCAL)
def test_local_file_systems_are_taken(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory on a local disk, a container's included, is taken."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:1 / / rw - {kind} /dev/vda rw\n")
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    claim = Claim(tmp_path / "data", allow_network_fs=False)
    assert claim.unknown_filesystem == ""
    claim.release()


@pytest.mark.parametrize("kind", ["fuse", "fuse.bindfs", "mergerfs", "newfs"])
def test_unknown_file_systems_are_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory on a kind of file system that nobody has tried is taken, and said to be."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:1 / / rw - {kind} somewhere rw\n")
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    counted = Instruments()

    async def open_it() -> None:
        claim = Claim(tmp_path / "data", allow_network_fs=False)
        runtime = Runtime(Clock(), counted, Log())
        async with opened(claim, resolve({}, {}, {}), Fingerprints(), runtime):
            pass
        claim.release()

    asyncio.run(open_it())
    assert counted.values(catalog.LEDGER_FILESYSTEM_UNKNOWN) == {(): 1.0}
    assert "not known to keep it" in caplog.text


def modes(place: Path) -> dict[str, int]:
    """The permissions of each file in a directory."""
    return {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}


def test_new_files_are_for_nobody_else(tmp_path: Path) -> None:
    """The directory and all that is made in it are closed to others, whatever the umask."""
    before = os.umask(0)
    try:
        claim = Claim(tmp_path / "data", allow_network_fs=False)
        ledger = Store(tmp_path / "data" / FILE)
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        names = {LOCK, KEY, FILE, f"{FILE}-wal", f"{FILE}-shm"}
        assert modes(tmp_path / "data") == dict.fromkeys(names, 0o600)
        ledger.close()
        claim.release()
    finally:
        os.umask(before)


def test_existing_files_are_tightened(tmp_path: Path) -> None:
    """A ledger of an earlier version is closed to others; other files are left as they are."""
    names = (LOCK, FILE, f"{FILE}-wal", f"{FILE}.damaged-20260101T000000.000000Z", "notes")
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    Claim(tmp_path, allow_network_fs=False).release()
    assert modes(tmp_path) == {**dict.fromkeys(names, 0o600), "notes": 0o644, KEY: 0o600}


@pytest.mark.parametrize(
    ("owner", "mode", "expected"),
    [
        ("ours", 0o775, 0o600),
        ("another", 0o770, 0o660),
        ("another", 0o755, 0o600),
        ("another of another group", 0o777, 0o600),
    ],
)
def test_a_directory_of_our_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, mode: int, expected: int
) -> None:
    """Where only the group is ours, as under an arbitrary user id, the files are the group's."""
    found = tmp_path.stat()
    if owner != "ours":
        monkeypatch.setattr(os, "geteuid", lambda: found.st_uid + 1)
    if owner == "another of another group":
        monkeypatch.setattr(os, "getegid", lambda: found.st_gid + 1)
    tmp_path.chmod(mode)
    directory.make(tmp_path / FILE)
    assert modes(tmp_path) == {FILE: expected}


def test_the_secret_stays(tmp_path: Path) -> None:
    """A directory's secret is the same with each start; one that cannot be used is made anew."""
    first = Claim(tmp_path, allow_network_fs=False)
    assert key.kept(tmp_path) == first.secret
    (tmp_path / KEY).unlink()
    first.renew()
    assert key.kept(tmp_path) == first.secret
    first.release()
    (tmp_path / KEY).write_bytes(b"short")
    assert len(key.kept(tmp_path)) == len(first.secret)
    assert key.kept(tmp_path) == (tmp_path / KEY).read_bytes() != first.secret


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


def test_a_directory_that_is_not_writable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no lock can be made the reason is said, not that there is none."""

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(directory, "make", refuse)
    with pytest.raises(StorageError, match=f"{tmp_path}: Permission denied"):
        Claim(tmp_path, allow_network_fs=False)
