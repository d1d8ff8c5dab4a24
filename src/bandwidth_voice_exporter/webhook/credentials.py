"""HTTP Basic credentials of the webhook listener: several at once, for rotation."""

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bandwidth_voice_exporter.http import basic
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import credential

_JSON = '{}[]"'
_CHECK_EVERY = 1.0  # seconds between two looks at the file


class CredentialsError(ValueError):
    """A credentials file that cannot be used; the message never quotes a password."""


def parse(text: str) -> tuple[str, ...]:
    """Return the ``user:password`` lines of a file; blank lines and # comments do not count.

    Raises CredentialsError for a line that is no such pair, or looks as if another thing was meant,
    and for a file without any.
    """
    credentials = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if (mistake := _mistake(line)) is not None:
            raise CredentialsError(f"line {number} {mistake}")
        credentials.append(line)
    if not credentials:
        raise CredentialsError("there are no credentials in it")
    return tuple(credentials)


def _mistake(line: str) -> str | None:
    if line[0].isspace():
        return "is indented: a comment begins with its #, a pair with its user"
    if line[0] in _JSON:
        return "looks like JSON: each line is of the form user:password, without quotes"
    user, colon, password = line.partition(":")
    if not (user and colon and password):
        return "is not of the form user:password"
    reason = credential.mistake(user) or credential.mistake(password)
    return reason and f"cannot be used: {reason}"


def read_credentials(path: Path) -> tuple[str, ...]:
    """Return the credentials in a file. Raises CredentialsError where it cannot be used."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{path}: not UTF-8") from None
    except CredentialsError as error:
        raise CredentialsError(f"{path}: {error}") from None


class Credentials:
    """The accepted ``user:password`` pairs; those in a file follow the file.

    Where the file cannot be used any more the last good ones stay: a mistake in a rotation must
    not refuse events that do not come again.
    """

    def __init__(
        self,
        fixed: Iterable[str],
        path: Path | None,
        log: Log,
        on_load: Callable[[bool], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = tuple(fixed)
        self._path = path
        self._log = log
        self._on_load = on_load
        self._monotonic = monotonic
        self._keyed = hashlib.blake2b(key=os.urandom(32), digest_size=32)
        self._checked = monotonic()
        self._signature = self._look()
        self._digests = self._digest(read_credentials(path) if path else ())

    def accept(self, authorization: bytes | None) -> bool:
        """Whether an Authorization header names one of them, in a time that does not tell which."""
        self._follow()
        given = self._of(basic.decode(authorization))
        accepted = False
        for digest in self._digests:
            accepted |= hmac.compare_digest(given, digest)
        return accepted

    def _follow(self) -> None:
        if self._path is None or (now := self._monotonic()) - self._checked < _CHECK_EVERY:
            return
        self._checked = now
        if self._look() != self._signature:
            self.read_again()

    def read_again(self) -> None:
        """Read the file now, changed or not."""
        if self._path is None:
            return
        self._signature = self._look()
        try:
            self._digests = self._digest(read_credentials(self._path))
        except CredentialsError as error:
            self._on_load(False)  # noqa: FBT003  # a gauge's setter takes the value by position
            self._log.error("credentials file not usable, the old ones stay", reason=str(error))
            return
        self._on_load(True)  # noqa: FBT003  # as above
        self._log.info("credentials loaded", credentials=len(self._digests))

    def _look(self) -> tuple[int, ...] | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_ino, status.st_size)

    def _digest(self, from_file: Iterable[str]) -> tuple[bytes, ...]:
        return tuple(self._of(pair.encode()) for pair in (*self._fixed, *from_file))

    def _of(self, pair: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(pair)
        return keyed.digest()
