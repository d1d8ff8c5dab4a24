"""The Authorization header that handlers get, as a file says it."""

import base64
from functools import partial
from pathlib import Path

from bandwidth_voice_exporter.http import Looks, UnusableError, Watch, reading
from bandwidth_voice_exporter.logs import Log


class AuthorizationError(UnusableError):
    """A credentials file that cannot be used; the message never quotes a password."""


class Authorization:
    """The header by ``value``; where the file cannot be used any more, the last good one stays.

    Raises AuthorizationError where it cannot be at first.
    """

    def __init__(self, file: Path, log: Log) -> None:
        self._watch = Watch(reading(partial(read, file)), partial(read, file))
        self._log = log

    @property
    def value(self) -> str:
        """The header as it is now."""
        return self._watch.value

    def look(self) -> None:
        """Follow the file; to be called again and again."""
        self._tell(self._watch.look())

    def read_again(self) -> None:
        """Read the file now, changed or not."""
        self._tell(self._watch.read_again())

    def _tell(self, news: str | UnusableError | None) -> None:
        if isinstance(news, UnusableError):
            message = "handlers' credentials not usable, the old ones stay"
            self._log.error(message, reason=str(news))
        elif news:
            self._log.info("handlers' credentials loaded")


def read(file: Path, looks: Looks) -> str:
    """Return the header of the one line user:password. Raises AuthorizationError."""
    flag = f"--forward.credentials-file {file}"
    try:
        lines = looks.at(file).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise AuthorizationError(f"{flag}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AuthorizationError(f"{flag}: not UTF-8") from None
    pairs = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(pairs) != 1 or not all(pairs[0].partition(":")):
        raise AuthorizationError(f"{flag}: not one line user:password")
    return f"Basic {base64.b64encode(pairs[0].encode()).decode()}"
