"""The credentials for handlers and the certificates that they are trusted by, from files."""

import base64
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from bandwidth_voice_exporter.http import Looks, UnusableError, Watch, reading
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.settings import Settings

T = TypeVar("T")


class UnusableKeyError(UnusableError):
    """A file that cannot be used; the message never quotes a password."""


class Key(Generic[T]):
    """A file's value; if the file cannot be used any more, the last good one stays.

    ``on_load`` is called with whether it could be used. Raises UnusableKeyError if it never could.
    """

    def __init__(
        self, name: str, read: Callable[[Looks], T], log: Log, on_load: Callable[[bool], object]
    ) -> None:
        self._name = name
        self._watch = Watch(reading(read), read)
        self._log = log
        self._on_load = on_load

    @property
    def value(self) -> T:
        """The present value."""
        return self._watch.value

    def look(self) -> None:
        """Follow the file; to be called again and again."""
        self._tell(self._watch.look())

    def read_again(self) -> None:
        """Read the file now, changed or not."""
        self._tell(self._watch.read_again())

    def _tell(self, news: T | UnusableError | None) -> None:
        if news is None:
            return
        self._on_load(not isinstance(news, UnusableError))
        if isinstance(news, UnusableError):
            message = f"handlers' {self._name} not usable, the old ones stay"
            self._log.error(message, reason=str(news))
        else:
            self._log.info(f"handlers' {self._name} loaded")


class Keys(msgspec.Struct, frozen=True):
    """The header that replaces the sender's Authorization, if any, and the trusted certificates."""

    credentials: Key[str] | None
    certificates: Key[ssl.SSLContext]


def keys_of(settings: Settings, log: Log, on_load: Callable[[], Callable[[bool], object]]) -> Keys:
    """Read them; ``on_load`` is asked for each file. Raises UnusableKeyError."""
    file = settings.forward_credentials_file
    return Keys(
        Key("credentials", partial(_authorization, file), log, on_load()) if file else None,
        Key("certificates", partial(_trust, settings.forward_ca_file), log, on_load()),
    )


def _authorization(file: Path, looks: Looks) -> str:
    flag = f"--forward.credentials-file {file}"
    try:
        lines = looks.at(file).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UnusableKeyError(f"{flag}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableKeyError(f"{flag}: not UTF-8") from None
    pairs = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(pairs) != 1 or not all(pairs[0].partition(":")):
        raise UnusableKeyError(f"{flag}: not one line user:password")
    return f"Basic {base64.b64encode(pairs[0].encode()).decode()}"


def _trust(file: Path | None, looks: Looks) -> ssl.SSLContext:
    """Return how certificates are checked: by the system's authorities where none are named."""
    try:
        return ssl.create_default_context(cafile=looks.at(file) if file else None)
    except OSError as error:  # an SSLError too
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise UnusableKeyError(f"--forward.ca-file {file}: {reason}") from None
