"""The client id and secret that Bandwidth asks for, in a file that nobody else may read."""

import stat
from pathlib import Path
from typing import NamedTuple

from bandwidth_voice_exporter.settings import credential

_OTHERS = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


class SecretError(ValueError):
    """A file that cannot be used; the message names it, and never quotes it."""


class Secret(NamedTuple):
    """A client's id and its secret, which may place calls."""

    client: str
    secret: str


def read(file: Path) -> Secret:
    """Return the id and secret of a file's one line CLIENT_ID:SECRET. Raises SecretError."""
    try:
        mode = file.stat().st_mode
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SecretError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"{file}: not UTF-8") from None
    if mode & _OTHERS:
        raise SecretError(f"{file}: others may use it (chmod 600 {file})")
    pairs = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    client, _, secret = (part.strip() for part in (pairs or [""])[0].partition(":"))
    # JSON has a colon too.
    if len(pairs) != 1 or not (client and secret) or client.startswith("{"):
        raise SecretError(f"{file}: not one line CLIENT_ID:SECRET")
    if reason := credential.mistake(client) or credential.mistake(secret):
        raise SecretError(f"{file}: {reason}")
    return Secret(client, secret)
