"""A ledger on a disk, copied from or into."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path

from bandwidth_voice_exporter.ledger import directory, key
from bandwidth_voice_exporter.ledger.contents import Contents, Placed, ShareContents
from bandwidth_voice_exporter.ledger.database import DamagedError, StoreError
from bandwidth_voice_exporter.ledger.directory import Claim, StorageError
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.metrics import checkpoint

_AT_ONCE = 1000  # rows in a commit
_UNFINISHED = ".copying"


class FileSource:
    """The ledger in a file; its totals are those of one share."""

    def __init__(self, store: Store, name: str, secret: bytes | None) -> None:
        self._store = store
        self._name = name
        self.secret = secret
        saved = store.checkpoint()
        self._saved = saved or Saved(0, b"")

    async def contents(self) -> Contents:
        """Return all but the calls. Raises StoreError."""
        state = self._saved.state or None
        try:
            admitted = checkpoint.admitted(state) if state else {}
        except checkpoint.CheckpointError as error:
            raise DamagedError(f"{self._store.path}: {error}") from error
        share = ShareContents(self._name, state)
        return Contents((share,), admitted, self._store.notes(), self._store.doubted())

    async def calls(self, *, counted: bool) -> AsyncIterator[Sequence[Placed]]:
        """Yield the calls that are in the totals, or those after them. Raises StoreError."""
        last = self._saved.last_row
        rows = self._store.calls_after(0 if counted else last)
        placed = ((0, call) for row, call in rows if not counted or row <= last)
        while some := list(islice(placed, _AT_ONCE)):
            yield some


class FileTarget:
    """A new ledger in a file, under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}{_UNFINISHED}")
        self._store: Store | None = None
        self._state: bytes | None = None
        self._row = 0
        self.anew: list[str] = []
        self._remove()

    async def begin(self, contents: Contents) -> None:
        """Take all but the calls. Raises StoreError."""
        states = [share.state for share in contents.shares if share.state is not None]
        try:
            if states:
                self._state, self.anew = checkpoint.merged(states)
        except checkpoint.CheckpointError as error:
            raise StoreError(str(error)) from error
        store = self._store = Store(self._unfinished)
        for name, note in contents.notes.items():
            store.put_note(name, note)
        # A disk's ledger has one time for what others took away.
        if doubted := max(contents.doubted, *contents.pruned.values(), 0):
            store.doubt(doubted)

    async def write(self, placed: Sequence[Placed]) -> None:
        """Take some calls. Raises StoreError."""
        store = self._written()
        calls = [call for _, call in placed]
        for start in range(0, len(calls), _AT_ONCE):
            some = calls[start : start + _AT_ONCE]
            if not all(store.append(self._row + 1, some)):
                raise DamagedError("a call is there twice")
            self._row += len(some)
            while store.tidy():
                pass

    async def save(self) -> None:
        """Take the totals for those of the calls so far. Raises StoreError."""
        if self._state is not None:
            self._written().save(Saved(self._row, self._state))

    async def end(self) -> None:
        """Let it be a ledger: its name is the last thing that it is given. Raises StoreError."""
        self._written().close()
        self._store = None
        try:
            self._unfinished.rename(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(str(error)) from error

    def discard(self) -> None:
        """Remove what is not whole."""
        if self._store:
            self._store.close()
            self._store = None
        self._remove()

    def _written(self) -> Store:
        if self._store is None:
            raise AssertionError("it has not begun")
        return self._store

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self._unfinished}{suffix}").unlink()


@contextlib.contextmanager
def source_in(path: Path, name: str) -> Iterator[FileSource]:
    """Give the ledger in a file, which no exporter writes meanwhile. Raises StoreError."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no ledger")
    with _claimed(path):
        store = Store(path, read_only=True)
        try:
            place = path.parent / key.KEY
            yield FileSource(store, name, key.found(place) if place.exists() else None)
        except OSError as error:
            raise StoreError(str(error)) from error
        finally:
            store.close()


@contextlib.contextmanager
def target_in(path: Path, secret: bytes | None) -> Iterator[FileTarget]:
    """Give a new ledger in a file. Raises StoreError where there is one, or another secret."""
    if path.exists():
        raise StoreError(f"{path}: there is a ledger already; copy to where there is none")
    if secret is not None:
        _give(path.parent, secret)
    with _claimed(path):
        target = FileTarget(path)
        try:
            yield target
        finally:
            target.discard()


def _give(folder: Path, secret: bytes) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    key.keep(folder, secret)
    if key.kept(folder) != secret:
        raise StoreError(
            f"{folder / key.KEY}: another key than that of the ledger to copy, whose calls of "
            f"hashed ids it does not recognise; remove it first"
        )


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[None]:
    if path.name != directory.LEDGER:  # a copy, which no exporter writes to
        yield
        return
    try:
        claim = Claim(path.parent, allow_network_fs=False)
    except StorageError as error:
        raise StoreError(str(error)) from error
    try:
        yield
    finally:
        claim.release()
