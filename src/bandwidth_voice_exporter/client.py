"""Whose request it is, for the log only: the connection's address, or what a trusted proxy says."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

UNKNOWN = "unknown"


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


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
