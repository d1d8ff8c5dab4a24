"""Values that people write: addresses, sizes, durations, names. Each parser raises ValueError."""

import ipaddress
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bandwidth_voice_exporter.voice import labels

LOCALHOST = "localhost"  # this machine's address of both families, whatever its files say
EVERY_IPV4, EVERY_IPV6 = str(IPv4Address(0)), str(IPv6Address(0))  # with IPv6, mostly both families

_MAX_PORT = 65535
_MAX_NAME = 64
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 100 * 365 * 86400.0  # seconds of a duration
_MAPPED_BITS = 96  # of an IPv6 address, before the IPv4 address that it stands for
_SIZES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Address(msgspec.Struct, frozen=True):
    """An address to listen on; an empty host is every address of both families."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port`` with IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            parsed = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == LOCALHOST
        return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def address(text: str) -> Address:
    """Parse ``host:port``, ``[ipv6]:port`` or ``:port``."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not is_bracketed):
        raise ValueError("not of the form host:port (an IPv6 address goes in brackets)")
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise ValueError("the port is not a number from 0 to 65535")
    return Address(host[1:-1] if is_bracketed else host, int(port))


def addresses(text: str) -> tuple[Address, ...]:
    """Parse comma-separated addresses, at least one."""
    return tuple(address(part.strip()) for part in text.split(","))


def path(text: str) -> str:
    """Parse the path of a URL."""
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise ValueError("not a path that starts with / and needs no escaping")
    return text


def origin(text: str) -> str:
    """Parse a URL of http or https, with a host and perhaps a path, and nothing else."""
    if not text.isascii() or any(sign in text for sign in "?#, ") or not text.isprintable():
        raise ValueError("a URL has no query, fragment, comma, space or sign to escape here")
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_whole = None
    if not is_whole:
        raise ValueError("not of the form http://HOST[:PORT][/PATH] or https://…")
    if "@" in parts.netloc:
        raise ValueError("credentials belong into --forward.credentials-file")
    return text


def service(text: str) -> str:
    """Parse the URL of a program that is asked over its API: no password, which all could read."""
    if "@" in text:
        raise ValueError("a URL without user and password: others could read these")
    return origin(text).rstrip("/")


def secure_url(text: str) -> str:
    """Parse a URL that secrets are sent to: https, or http on this machine."""
    if "@" in text:
        raise ValueError("credentials belong into --reconcile.credentials-file")
    parts = urlsplit(origin(text))
    if parts.scheme != "https" and not Address(parts.hostname or "", 0).is_loopback():
        raise ValueError("secrets go there: https, or http on this machine alone")
    return text.rstrip("/")


def account(text: str) -> str:
    """Parse an account's id."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise ValueError("not the id of an account, which is of digits")
    return text


def routes(text: str) -> dict[str, str]:
    """Parse comma-separated PATH=URL pairs to URLs by path."""
    handlers: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        asked, equals, url = (piece.strip() for piece in pair.partition("="))
        if not equals:
            raise ValueError("not of the form PATH=URL")
        if path(asked) in handlers:
            raise ValueError(f"{asked} is there twice")
        handlers[asked] = origin(url)
    return handlers


def prefix(text: str) -> str:
    """Parse what paths begin with: slashes at its ends make no difference; none is empty."""
    inner = text.strip("/")
    if not inner:
        return ""
    if re.search(r"(^|/)\.{0,2}(/|$)", inner):
        raise ValueError("a path with an empty or dotted part")
    return path(f"/{inner}")


class Url(msgspec.Struct, frozen=True):
    """A listener's URL for others: ``path`` is empty or begins with / and does not end with it."""

    scheme: str
    host: str
    port: int
    path: str


def url(text: str) -> Url:
    """Parse ``https://host:port/path``."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?", text):
        raise ValueError(
            "not of the form https://host/path (for a path alone there is --web.route-prefix)"
        )
    parts = urlsplit(text)
    if not parts.hostname:
        raise ValueError("a URL without a host")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return Url(parts.scheme, parts.hostname, port, prefix(parts.path))


def hosts(text: str) -> tuple[str, ...]:
    """Parse comma-separated names of machines."""
    names = tuple(filter(None, (part.strip() for part in text.split(","))))
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", name):
            raise ValueError("not the name of a machine, without scheme, port and path")
    return names


def size(text: str) -> int:
    """Parse a number of bytes: 65536, 64KiB, 2GiB."""
    match = re.fullmatch(r"(\d+) *(B|KiB|MiB|GiB|)", text, re.ASCII)
    if not match or int(match[1]) == 0:
        raise ValueError("not a size such as 65536, 64KiB or 2GiB")
    return int(match[1]) * _SIZES[match[2]]


def duration(text: str) -> float:
    """Parse a duration to seconds: 65s, 1m30s, 500ms, 7d."""
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text, re.ASCII):
        raise ValueError("not a duration such as 500ms, 65s, 1m30s or 7d")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError("a duration of more than a hundred years")
    return seconds


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse comma-separated addresses and networks: 10.0.0.0/8, 192.0.2.7, fd00::/8."""
    try:
        return tuple(
            _unmapped(ip_network(part.strip())) for part in text.split(",") if part.strip()
        )
    except ValueError:
        raise ValueError("not addresses or networks such as 10.0.0.0/8, 192.0.2.7") from None


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 network that an IPv4-mapped one means: clients are compared as IPv4."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def directory(text: str) -> Path | None:
    """Parse a directory; empty is none."""
    return Path(text) if text else None


def count(text: str) -> int:
    """Parse a whole number, 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not a whole number of 0 or more")
    return int(text)


def switch(text: str) -> bool:
    """Parse true or false."""
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise ValueError("neither true nor false")
    return values[text.lower()]


def choice(*values: str, **other_words: str) -> Callable[[str], str]:
    """Return the parser of one of some words, in capitals or not, or of another word for one."""

    def parse(text: str) -> str:
        word = other_words.get(text.lower(), text.lower())
        if word not in values:
            raise ValueError(f"not one of {', '.join(values)}")
        return word

    return parse


def applications(text: str) -> dict[str, str]:
    """Parse comma-separated ID=NAME pairs to names by id, ids in lower case."""
    names: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        identifier, equals, name = (piece.strip() for piece in pair.partition("="))
        if not (equals and labels.is_uuid(identifier)):
            raise ValueError("not of the form ID=NAME with the application's UUID as ID")
        if not name or len(name) > _MAX_NAME or not name.isprintable():
            raise ValueError(f"a name has from 1 to {_MAX_NAME} printable characters")
        if name in labels.RESERVED or labels.is_uuid(name):
            raise ValueError(f"{name} cannot be a name: applications without one appear so")
        if identifier.lower() in names or name in names.values():
            raise ValueError("an id or a name is there twice")
        names[identifier.lower()] = name
    return names
