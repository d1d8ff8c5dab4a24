"""The directory that the ledger lives in: made, locked, and on a disk that can be trusted."""

import contextlib
import fcntl
import os
import re
from pathlib import Path

from bandwidth_voice_exporter.ledger import key

LOCK = "lock"

_MOUNTS = Path("/proc/self/mountinfo")
# SQLite's write-ahead log needs shared memory and locks that these do not give.
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\d?|smbfs|ncpfs|9p|afs|ceph|lustre|gpfs|ocfs2|gfs2?|glusterfs|beegfs"
    r"|fuse\.(?:sshfs|glusterfs|ceph|s3fs|gcsfuse|rclone|juicefs|davfs2?)"
)


class StorageError(OSError):
    """A directory that cannot be used; the message names it and what to do."""


class Claim:
    """A directory held for this process alone, until ``release`` or the process's end.

    ``secret`` is the directory's own. Raises StorageError where it cannot be held.
    """

    def __init__(self, directory: Path, *, allow_network_fs: bool) -> None:
        self.directory = directory
        self._allow_network_fs = allow_network_fs
        self._lock = self._take()
        self.secret = key.kept(directory)

    def renew(self) -> None:
        """Take it again where it was deleted and made anew. Raises StorageError."""
        if not self.is_held():
            taken = self._take()
            self.release()
            self._lock = taken
        key.keep(self.directory, self.secret)

    def is_held(self) -> bool:
        """Whether the lock is still the one in the directory."""
        try:
            return os.fstat(self._lock).st_ino == (self.directory / LOCK).stat().st_ino
        except OSError:
            return False

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def _take(self) -> int:
        directory = self.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._check_filesystem()
            lock = _opened(directory / LOCK)
        except OSError as error:
            raise StorageError(f"--storage.path {directory}: {error.strerror or error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 100).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise StorageError(
                f"--storage.path {directory} is in use by another exporter (process {owner})"
            ) from None
        except OSError as error:
            os.close(lock)
            raise StorageError(f"--storage.path {directory}: {error.strerror}") from error
        # Who holds the lock is said, not needed: a full disk does not matter here.
        with contextlib.suppress(OSError):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _check_filesystem(self) -> None:
        kind = filesystem(self.directory, _MOUNTS.read_text() if _MOUNTS.exists() else "")
        if not self._allow_network_fs and _NETWORK.fullmatch(kind):
            raise OSError(
                f"on a network file system ({kind}), where SQLite loses data; "
                f"use a local disk, or --storage.allow-network-fs at your own risk"
            )


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        return os.open(path, os.O_RDONLY)  # on a disk that became read-only


def filesystem(directory: Path, mountinfo: str) -> str:
    """Return the type of the file system that a directory is on, from proc(5)'s mountinfo."""
    target = f"{directory.resolve()}/"
    longest, kind = "", ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split(" ")[4].encode().decode("unicode_escape").rstrip("/") + "/"
        if target.startswith(point) and len(point) >= len(longest):
            longest, kind = point, source.split(" ")[0]
    return kind
