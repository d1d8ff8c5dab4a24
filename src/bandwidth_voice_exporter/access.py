"""Who may see the pages: this machine, those with a password, or everybody where that is wanted."""

from ipaddress import ip_address

from starlette.types import Scope

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
