"""The address of a ledger that several exporters share, and the name of one of them."""

import re
import socket
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from bandwidth_voice_exporter.settings.near import hint

_FORM = "not of the form postgresql://USER@HOST[:PORT]/DATABASE[?sslmode=…]"
_SECRETS = {"password", "sslpassword"}
# Those of the driver: it hands any other to the server, which then lets nobody in.
_OPTIONS = {
    *("host", "port", "user", "dbname", "database", "passfile"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    *("target_session_attrs", "krbsrvname", "gsslib"),
}
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_HIGHEST_PORT = 65535


def database(text: str, flag: str = "--ledger.password-file") -> str:
    """Parse the URL of a PostgreSQL database, of one host or several; no password is in it."""
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgres") or not text.isprintable() or " " in text:
        raise ValueError(_FORM)
    options = database_options(text)
    if ":" in parts.netloc.rpartition("@")[0] or not _SECRETS.isdisjoint(options):
        raise ValueError(f"a password belongs into {flag}")
    if not (parts.path.strip("/") or options.get("dbname") or options.get("database")):
        raise ValueError("it names no database: postgresql://USER@HOST/DATABASE")
    for option in options:
        if option not in _OPTIONS:
            raise ValueError(f"there is no option {option}{hint(option, _OPTIONS)}")
    if options.get("sslmode", _MODES[0]) not in _MODES:
        raise ValueError(f"sslmode is one of {', '.join(_MODES)}")
    database_hosts(text)
    return text


def database_options(text: str) -> Mapping[str, str]:
    """Return what follows the question mark of a database's URL. Raises ValueError."""
    query = urlsplit(text).query
    try:
        return dict(parse_qsl(query, strict_parsing=True) if query else ())
    except ValueError:
        raise ValueError("its options are not of the form ?NAME=VALUE&NAME=VALUE") from None


def database_hosts(text: str) -> list[tuple[str, int | None]]:
    """Return the hosts that a database's URL names, each with its port where that is there too.

    A host that begins with a slash is the directory of a socket. Raises ValueError.
    """
    options = database_options(text)
    named = unquote(urlsplit(text).netloc.rpartition("@")[2]) or options.get("host", "")
    if not named:
        return []
    hosts = [_host(one) for one in named.split(",")]
    ports = [_port(one) for one in options["port"].split(",")] if "port" in options else [None]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError("it has neither one port for all hosts nor one for each")
    return [(host, own or port) for (host, own), port in zip(hosts, ports, strict=True)]


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):
        return text, None
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::(.*))?", text)
    if not found:
        raise ValueError(f"{text!r} is not a host: HOST, HOST:PORT or [IPV6]:PORT")
    bracketed, plain, port = found.groups()
    return bracketed or plain, _port(port) if port else None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} is not a port: it is a number from 1 to {_HIGHEST_PORT}")
    return int(text)


def replica(text: str) -> str:
    """Parse a replica's name."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
        raise ValueError("a name has up to 100 letters, digits, dots, dashes and underscores")
    return text


def host_name() -> str:
    """Return the host's name as that of a replica."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:100]
