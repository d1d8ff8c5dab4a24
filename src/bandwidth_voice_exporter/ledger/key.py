"""The secret by which ids that are not kept are told apart, in a file that nobody else may read."""

import contextlib
import os
import secrets
from pathlib import Path

KEY = "key"
SHORTEST, LONGEST = 16, 64  # bytes
_BYTES = 32


def made() -> bytes:
    """Return a new secret."""
    return secrets.token_bytes(_BYTES)


def found(place: Path) -> bytes | None:
    """Return the secret in a file; None where it has none. Raises OSError.

    It is what ``made`` gives, as it is, or a line of text.
    """
    content = place.read_bytes()
    if len(content) == _BYTES and not content.isascii():
        return content
    text = content.strip()
    return text if SHORTEST <= len(text) <= LONGEST else None


def kept(directory: Path) -> bytes:
    """Return a directory's secret, a new one where there is none that can be read."""
    place = directory / KEY
    with contextlib.suppress(OSError):
        if secret := found(place):
            place.chmod(0o600)
            return secret
    with contextlib.suppress(OSError):
        place.unlink()
    secret = made()
    keep(directory, secret)
    return secret


def keep(directory: Path, secret: bytes) -> None:
    """Put a secret where there is none; where that cannot be, it ends with the process."""
    place = directory / KEY
    with contextlib.suppress(OSError):
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, secret)
            os.fsync(file)
        except OSError:
            place.unlink()
            raise
        finally:
            os.close(file)
