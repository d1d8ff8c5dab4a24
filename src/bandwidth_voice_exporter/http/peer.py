"""Whose request it is: this machine's or a stranger's, and the address to name in the log."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

UNKNOWN = "unknown"
_ONE_MACHINE = 64  # bits


def client_of(scope: Scope, proxies: Sequence[Network]) -> str:
    """Return the address of the nearest client that is no trusted proxy.

    Each proxy appends who spoke to it to X-Forwarded-For: read from its end, the first address that
    is not a trusted proxy's is the last one that anybody trusted has seen.
    """
    connection = scope.get("client")
    seen = [connection[0] if connection else ""]
    forwarded = (value for name, value in scope["headers"] if name == b"x-forwarded-for")
    hops = b",".join(forwarded).decode("latin-1").split(",")
    client = UNKNOWN
    for text in [*seen, *reversed(hops)]:
        address = _address(text.strip())
        if address is None:
            break
        client = str(address)
        if not any(address in network for network in proxies):
            break
    return client


def source_of(scope: Scope) -> str:
    """Return whose turn a request's is: the address that it came from, the network in IPv6.

    One machine has all addresses of a /64 to itself.
    """
    connection = scope.get("client")
    address = _address(connection[0]) if connection else None
    if isinstance(address, IPv6Address):
        address = IPv6Network((address, _ONE_MACHINE), strict=False).network_address
    return str(address or UNKNOWN)


def _address(text: str) -> Address | None:
    """Return an address, without its scope: whatever is behind a % is anybody's text."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or type(address)(int(address))


# Whoever sends these is not the one who connected: a proxy here must not make strangers local.
_FORWARDING = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))


def is_local(scope: Scope) -> bool:
    """Whether a request was made on this machine, to a name that only this machine has.

    A page of a stranger's can have a browser here ask for the stranger's own name, and have that
    name point here (DNS rebinding): what it could then read as its own is refused by the name.
    """
    client = scope.get("client")
    if not client or not _is_loopback(client[0]):
        return False
    headers = scope["headers"]
    if any(name in _FORWARDING for name, _ in headers):
        return False
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    return len(hosts) == 1 and is_local_name(hosts[0])


def host_name(host: str) -> str:
    """Return the name or address of a Host header, without its port and brackets."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    return name.removeprefix("[").removesuffix("]")


def is_local_name(host: str) -> bool:
    """Whether a Host header's name is one that only this machine has."""
    name = host_name(host).lower()
    return name == "localhost" or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
