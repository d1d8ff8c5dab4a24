"""HTTP Basic credentials of the webhook listener: several at once, for rotation."""

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bandwidth_voice_exporter.http import Looks, UnusableError, Watch, basic
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import credential

_JSON = '{}[]"'
_ACCEPTED_LONGER = 10.0  # seconds
_MOST_GIVEN = 16


class CredentialsError(UnusableError):
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
    if password[0].isspace():
        return "looks like YAML: each line is of the form user:password, without space and quotes"
    reason = credential.mistake(user) or credential.mistake(password)
    return reason and f"cannot be used: {reason}"


def read_credentials(path: Path, looks: Looks) -> tuple[str, ...]:
    """Return the credentials in a file. Raises CredentialsError where it cannot be used."""
    try:
        return parse(looks.at(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{path}: not UTF-8") from None
    except CredentialsError as error:
        raise CredentialsError(f"{path}: {error}") from None


class Credentials:
    """The accepted ``user:password`` pairs; those in a file follow the file.

    If the file cannot be used any more, the last good ones stay: a mistake in a rotation must not
    refuse events that do not come again. For the same reason removed ones are accepted a little
    longer: requests are on their way, and half a file may have been taken for a whole one.
    """

    def __init__(
        self,
        fixed: Iterable[str],
        watch: Watch[tuple[str, ...]] | None,
        log: Log,
        on_load: Callable[[bool], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch = watch
        self._log = log
        self._on_load = on_load
        self._monotonic = monotonic
        self._keyed = hashlib.blake2b(key=os.urandom(32), digest_size=32)
        self._fixed = self._digests_of(fixed)
        self._in_file = self._digests_of(watch.value if watch else ())
        self._gone: dict[bytes, float] = {}  # digest, until when it is accepted
        self._accepted = self._union()
        self._given: dict[bytes | None, bytes] = {}  # headers that were right, until the next look

    def accept(self, authorization: bytes | None) -> bool:
        """Whether an Authorization header names one of them, in a time that does not tell which."""
        given = self._given.get(authorization) or self._of(basic.decode(authorization))
        accepted = False
        for digest in self._accepted:
            accepted |= hmac.compare_digest(given, digest)
        if accepted and len(self._given) < _MOST_GIVEN:
            self._given[authorization] = given
        return accepted

    def look(self) -> None:
        """Follow the file; to be called again and again."""
        self._given.clear()
        news = self._watch.look() if self._watch else None
        if news is not None:
            self._take(news)
        if self._gone:
            now = self._monotonic()
            self._gone = {digest: until for digest, until in self._gone.items() if now < until}
            self._accepted = self._union()

    def read_again(self) -> None:
        """Read the file now, changed or not."""
        if self._watch:
            self._take(self._watch.read_again())

    def _take(self, news: tuple[str, ...] | UnusableError) -> None:
        self._on_load(not isinstance(news, UnusableError))
        if isinstance(news, UnusableError):
            self._log.error("credentials file not usable, the old ones stay", reason=str(news))
            return
        until = self._monotonic() + _ACCEPTED_LONGER
        self._gone |= dict.fromkeys(self._in_file, until)
        self._in_file = self._digests_of(news)
        self._accepted = self._union()
        self._log.info("credentials loaded", credentials=len(self._fixed) + len(self._in_file))

    def _union(self) -> tuple[bytes, ...]:
        return tuple(dict.fromkeys((*self._fixed, *self._in_file, *self._gone)))

    def _digests_of(self, pairs: Iterable[str]) -> tuple[bytes, ...]:
        return tuple(self._of(pair.encode()) for pair in pairs)

    def _of(self, pair: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(pair)
        return keyed.digest()
