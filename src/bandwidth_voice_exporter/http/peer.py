"""A request's origin: this machine or a stranger, and the address to name in the log."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

UNKNOWN = "unknown"
_ONE_MACHINE = 64  # bits


def client_of(scope: Scope, proxies: Sequence[Network]) -> str:
    """Return the address of the nearest client that is no trusted proxy.

    Each proxy appends its client's address to X-Forwarded-For: read from its end, the first address
    that is not a trusted proxy's is the last one that anybody trusted has seen.
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


def _address(text: str) -> IpAddress | None:
    """Return an address, without its scope: whatever is behind a % is anybody's text."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return mapped or type(address)(int(address))


# The client that sent these is not the one that connected: a proxy must not make strangers local.
_FORWARDED = b"x-forwarded"  # how most of their names begin
_FORWARDING = frozenset(
    (
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
        *(b"x-original-forwarded-for", b"x-original-host", b"x-envoy-external-address"),
        *(b"cf-connecting-ip", b"cf-ray", b"true-client-ip", b"fastly-client-ip"),
    )
)


class Hosts:
    """The hosts by which a listener may be asked: any address, ``localhost``, and these names.

    A page of a stranger's can have a browser ask for the stranger's own name, and have that name
    point here (DNS rebinding), and then read the answer as its own. The name gives it away.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(map(_plain, filter(None, names))) | {"localhost"}

    def are_asked(self, scope: Scope) -> bool:
        """Whether a request names one of them, and nothing else."""
        name = _asked_for(scope)
        return name is not None and (name in self._names or _address(name) is not None)


def is_local(scope: Scope) -> bool:
    """Whether a request was made on this machine, to a name that only this machine has."""
    client = scope.get("client")
    if not client or not _is_loopback(client[0]) or _is_forwarded(scope):
        return False
    name = _asked_for(scope)
    return name is not None and _is_local(name)


def host_name(host: str) -> str:
    """Return the name or address of a Host header, without its port and brackets."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    return name.removeprefix("[").removesuffix("]")


def is_local_name(host: str) -> bool:
    """Whether a Host header's name is one that only this machine has."""
    return _is_local(_plain(host_name(host)))


def _is_local(name: str) -> bool:
    return name == "localhost" or _is_loopback(name)


def _is_forwarded(scope: Scope) -> bool:
    return any(name in _FORWARDING or name.startswith(_FORWARDED) for name, _ in scope["headers"])


def _asked_for(scope: Scope) -> str | None:
    """Return the one name that a request is for; None where there is none, or are several."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return _plain(host_name(hosts[0])) if len(hosts) == 1 else None


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback
