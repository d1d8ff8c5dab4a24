"""The files by which a ledger's URL says whom TLS trusts, and who the exporter is."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from bandwidth_voice_exporter.settings import database_options

_DEFAULT = Path("~/.postgresql/root.crt")


def mistake(url: str) -> str | None:
    """Return what is wrong with the files that a URL names; None where nothing is."""
    options = database_options(url)
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE", "prefer")
    if mode == "disable":
        return None
    is_strict = mode in ("require", "verify-ca", "verify-full")
    read = [_unreadable(options, name) for name in ("sslcert", "sslkey")]
    trusted = [_untrusted(options, name) for name in ("sslrootcert", "sslcrl") if is_strict]
    found = next(filter(None, [*read, *trusted]), None)
    is_named = options.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if not found and mode.startswith("verify-") and not is_named and not _has_default():
        return (
            f"sslmode={mode} needs the certificate of the server's authority: "
            f"sslrootcert=FILE in the URL"
        )
    return found


def _unreadable(options: Mapping[str, str], name: str) -> str | None:
    if not options.get(name):
        return None
    try:
        Path(options[name]).read_bytes()
    except OSError as error:
        return f"{name} {options[name]}: {error.strerror}"
    return None


def _untrusted(options: Mapping[str, str], name: str) -> str | None:
    if (reason := _unreadable(options, name)) or not options.get(name):
        return reason
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(options[name])
    except ssl.SSLError as error:
        return f"{name} {options[name]}: it has nothing of the kind in PEM ({error.reason})"
    return None


def _has_default() -> bool:
    try:
        return _DEFAULT.expanduser().exists()
    except RuntimeError:  # there is no home
        return False
