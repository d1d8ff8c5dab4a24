"""The address of a ledger that several exporters share, and the name of one of them."""

import re
import socket
from urllib.parse import urlsplit


def database(text: str, flag: str = "--ledger.password-file") -> str:
    """Parse the URL of a PostgreSQL database, of one host or several; no password is in it."""
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgres") or not text.isprintable() or " " in text:
        raise ValueError("not of the form postgresql://USER@HOST[:PORT]/DATABASE[?sslmode=…]")
    if ":" in parts.netloc.rpartition("@")[0] or re.search(r"[?&](ssl)?password=", text):
        raise ValueError(f"a password belongs into {flag}")
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise ValueError("it names no database: postgresql://USER@HOST/DATABASE")
    return text


def replica(text: str) -> str:
    """Parse a replica's name."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
        raise ValueError("a name has up to 100 letters, digits, dots, dashes and underscores")
    return text


def host_name() -> str:
    """Return the host's name as that of a replica."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:100]
