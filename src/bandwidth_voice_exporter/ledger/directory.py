"""The directory that the ledger lives in: made, locked, and on a disk that can be trusted."""

import contextlib
import errno
import fcntl
import os
import re
import stat
from pathlib import Path

from bandwidth_voice_exporter.ledger import key

LOCK = "lock"
LEDGER = "ledger.sqlite3"

_MOUNTS = Path("/proc/self/mountinfo")
# SQLite's write-ahead log needs shared memory and locks that these do not give: networks,
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\d?|smbfs|ncpfs|9p|(?:open|auristor)?afs|coda|ceph|lustre|gpfs|ocfs2|gfs2?"
    r"|glusterfs|beegfs|fhgfs|pvfs2|orangefs|wekafs|panfs|acfs|cvfs"
    # what a virtual machine or a container sees of its host,
    r"|virtiofs|vboxsf|vmhgfs|prl_fs|drvfs|osxfs|grpcfuse|fakeowner"
    r"|fuse\.(?:vmhgfs-fuse|grpcfuse|osxfs|fakeowner|virtiofs"
    # clusters, and buckets.
    r"|sshfs|smbnetfs|curlftpfs|davfs2?|gvfsd-fuse|kio-fuse|glusterfs|ceph|ceph-fuse|mfs|mfsmount"
    r"|moosefs|lizardfs|saunafs|curvefs|cubefs|chubaofs|seaweedfs|weed|juicefs|alluxio|alluxio-fuse"
    r"|hdfs|fuse_dfs|quobyte|xtreemfs|ipfs|s3fs|s3ql|goofys|geesefs|riofs|tigrisfs|mountpoint-s3"
    r"|gcsfuse|blobfuse2?|ossfs2?|obsfs|cosfs|objectivefs|rclone)"
)
# Nothing is said where nothing is known of mounts.
_LOCAL = re.compile(
    r"|ext[234]|xfs|btrfs|bcachefs|zfs|f2fs|jfs|reiserfs|nilfs2|ufs|apfs|hfs|hfsplus"
    r"|vfat|exfat|ntfs3?|fuseblk|overlay|aufs|fuse\.fuse-overlayfs|ecryptfs|tmpfs|ramfs|rootfs"
)


class StorageError(OSError):
    """A directory that cannot be used; the message names it and what to do."""


class Claim:
    """A directory held for this process alone, until ``release`` or the process's end.

    ``secret`` is the directory's own, ``unknown_filesystem`` its kind of file system, unless that
    is known to keep a ledger. Raises StorageError if it cannot be held.
    """

    def __init__(self, directory: Path, *, allow_network_fs: bool) -> None:
        self.directory = directory
        self._allow_network_fs = allow_network_fs
        self.unknown_filesystem = ""
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
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_filesystem()
            lock = _opened(directory / LOCK)
            _tighten(directory)
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
        # The process id is only for messages: a full disk does not matter here.
        with contextlib.suppress(OSError):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _check_filesystem(self) -> None:
        kind = _trusted(self.directory, allow_network_fs=self._allow_network_fs)
        self.unknown_filesystem = "" if _NETWORK.fullmatch(kind) or _LOCAL.fullmatch(kind) else kind


def _trusted(directory: Path, *, allow_network_fs: bool) -> str:
    """Return the kind of file system. Raises OSError where it is a network's."""
    kind = filesystem(directory, _MOUNTS.read_text() if _MOUNTS.exists() else "")
    if _NETWORK.fullmatch(kind) and not allow_network_fs:
        raise OSError(
            f"on a network file system ({kind}), where SQLite loses data; "
            f"use a local disk, or --storage.allow-network-fs at your own risk"
        )
    return kind


def look_at(directory: Path, *, allow_network_fs: bool) -> bool:
    """Return whether an exporter holds a directory; nothing is made or written.

    Raises StorageError where a Claim could not be had for another reason.
    """
    try:
        _trusted(directory, allow_network_fs=allow_network_fs)
        place = directory
        while not place.exists():
            place = place.parent
        lock = directory / LOCK
        if lock.exists():
            return _is_held(lock)
        _check_writable(place)
    except OSError as error:
        raise StorageError(f"--storage.path {directory}: {error.strerror or error}") from error
    return False


def _check_writable(place: Path) -> None:
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        reason = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(reason, os.strerror(reason))


def _is_held(path: Path) -> bool:
    lock = os.open(path, os.O_RDONLY)
    try:
        # Shared, and for no longer than this: two processes that look do not see each other.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _opened(path: Path) -> int:
    try:
        make(path)
        return os.open(path, os.O_RDWR)
    except OSError as refused:
        try:
            return os.open(path, os.O_RDONLY)  # on a disk that became read-only
        except OSError:
            raise refused from None


def make(path: Path) -> None:
    """Make a file that is for this program alone, unless it is there. Raises OSError."""
    if path.exists():
        return
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.fchmod(file, _mode(path.parent))
    finally:
        os.close(file)


def _mode(directory: Path) -> int:
    """Return the mode of files: our group's too where that is all we have of the directory.

    If the user id changes with each start, the group's files are found again.
    """
    found = directory.stat()
    is_shared = found.st_uid != os.geteuid() and found.st_gid == os.getegid()
    return 0o660 if is_shared and found.st_mode & stat.S_IWGRP else 0o600


def _tighten(directory: Path) -> None:
    """Take away others' rights to our own files."""
    mode = _mode(directory)
    for path in (directory / LOCK, *directory.glob(f"{LEDGER}*")):
        # One that goes meanwhile, or a disk that is read-only, does not matter here.
        with contextlib.suppress(OSError):
            found = path.lstat()
            is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
            if is_ours and stat.S_IMODE(found.st_mode) & ~mode:
                path.chmod(mode)


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
