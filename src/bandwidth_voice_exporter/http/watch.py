"""Files that change while the program runs, each read once it can be taken for whole."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.meanwhile import meanwhile

T = TypeVar("T")

_LOOK_EVERY = 0.5  # seconds
_STANDS = 1.0  # seconds after which a file that somebody writes to is taken for whole


class UnusableError(ValueError):
    """A file that cannot be used; the message names file and place, never a secret."""


class FileStamp(NamedTuple):
    """A file as it looks from outside: another look is another content."""

    file: tuple[int, int]  # device and inode
    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds; not what a copying program sets it to


class Looks:
    """How files look just before they are read, so that no later change is missed."""

    def __init__(self) -> None:
        self.seen: dict[Path, FileStamp | None] = {}

    def at(self, file: Path) -> Path:
        """FileStamp at a file, and return it to be read."""
        self.seen.setdefault(file, _look(file))
        return file


Read = Callable[[Looks], T]  # looks at each file before reading it; raises UnusableError


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """The value read from files, and how they looked then."""

    value: T
    seen: Mapping[Path, FileStamp | None]


def reading(read: Read[T]) -> Reading[T]:
    """Read files. Raises UnusableError."""
    looks = Looks()
    value = read(looks)
    return Reading(value, looks.seen)


class Watch(Generic[T]):
    """Files, and the last usable value read from them.

    A file that was moved to another's place is read at once, for that is how a whole file is put
    there. Any other, also one that is made anew, is read, and found wanting, once it has stood
    unchanged for a second.
    """

    def __init__(
        self, first: Reading[T], read: Read[T], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.value = first.value
        self._seen = first.seen
        self._read = read
        self._monotonic = monotonic
        self._changed: Mapping[Path, FileStamp | None] = first.seen
        self._since = 0.0

    def look(self) -> T | UnusableError | None:
        """Return what is new: the value, or why there is none; None where nothing is."""
        now = self._monotonic()
        looks = {file: _look(file) for file in self._seen}
        if looks != self._changed:
            self._changed, self._since = looks, now
        if looks == self._seen:
            return None
        stands = now - self._since >= _STANDS
        if stands:
            return self.read_again()
        if not self._is_replaced(looks):
            return None
        seen = self._seen
        news = self.read_again()
        if isinstance(news, UnusableError):  # not whole yet, perhaps: it is told once it stands
            self._seen, self._changed = seen, looks
            return None
        return news

    def read_again(self) -> T | UnusableError:
        """Read the files now, changed or not, and return the value, or why there is none."""
        looks = Looks()
        try:
            self.value = self._read(looks)
        except UnusableError as error:
            return error
        finally:
            self._seen = self._changed = looks.seen
        return self.value

    def _is_replaced(self, looks: Mapping[Path, FileStamp | None]) -> bool:
        """Whether all that is new are other files, moved to the place of those that were there."""
        pairs = [(self._seen[file], look) for file, look in looks.items()]
        return all(old == new or (old and new and _is_moved(old, new)) for old, new in pairs)


def _is_moved(old: FileStamp, new: FileStamp) -> bool:
    """Whether a file has come to another's place after it was written.

    A move changes its status, not its content. That the two times are the same, as when a file is
    moved within a tick of the system's clock after it was written, says nothing.
    """
    return new.file != old.file and new.changed > new.modified


@contextlib.asynccontextmanager
async def watching(looks: Sequence[Callable[[], None]], log: Log) -> AsyncIterator[None]:
    """Have files looked at again and again, whether or not anybody asks for their values."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for look in looks:
                try:
                    look()
                except Exception:  # a bug must not end all rotations, unheard
                    log.exception("a changed file could not be looked at")

    async with meanwhile(go_on()):
        yield


def _look(file: Path) -> FileStamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return FileStamp(
        (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )
