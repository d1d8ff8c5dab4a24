"""The kinds of client that send, and of their addresses; none of their own text is kept."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from starlette.types import Scope

from bandwidth_voice_exporter.http.peer import Network, client_of

ClientKind = Literal["Bandwidth", "browser", "command line", "other"]
ClientPlace = Literal["loopback", "private", "public", "not known"]

# In the order in which they are looked for: PowerShell says that it is a browser too.
_SAID_BY: tuple[tuple[bytes, ClientKind], ...] = (
    (b"bandwidth", "Bandwidth"),
    *((word, "command line") for word in (b"curl/", b"wget/", b"httpie/", b"xh/", b"powershell")),
    *((word, "browser") for word in (b"mozilla/", b"opera/")),
)
_MOST_KNOWN = 4096  # clients; beyond, all of them are looked at again


class Client(msgspec.Struct):
    """Clients of a kind, at a kind of address: how many events, the last when (microseconds)."""

    kind: ClientKind
    place: ClientPlace
    events: int = 0
    last: int = 0


class Clients:
    """The clients that have sent events; ``proxies`` are believed about the clients they name.

    A client is looked at once, and known again by a hash.
    """

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies
        self._seen: dict[tuple[ClientKind, ClientPlace], Client] = {}
        self._known: dict[int, Client] = {}

    def note(self, scope: Scope, headers: Mapping[bytes, bytes], at: int) -> None:
        """Count an event that a request with these headers has brought, at a time in microseconds.

        Of a header that comes more than once it is the last.
        """
        agent = headers.get(b"user-agent", b"")
        address = scope["client"]
        mark = hash((agent, headers.get(b"x-forwarded-for"), address and address[0]))
        client = self._known.get(mark)
        if client is None:
            client = self._recognised(mark, agent, scope)
        client.events += 1
        client.last = at

    def seen(self) -> list[Client]:
        """Return all kinds that there were, the last one first."""
        return sorted(self._seen.values(), key=lambda one: -one.last)

    def _recognised(self, mark: int, agent: bytes, scope: Scope) -> Client:
        kind, place = _kind(agent), _place(client_of(scope, self._proxies))
        client = self._seen.setdefault((kind, place), Client(kind, place))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[mark] = client
        return client


def _kind(agent: bytes) -> ClientKind:
    said = agent.lower()
    return next((kind for word, kind in _SAID_BY if word in said), "other")


def _place(text: str) -> ClientPlace:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not known"
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global else "private"
