"""The kinds of client that send; nothing that they say of themselves is kept."""

import gc
from ipaddress import ip_network
from typing import Any

import pytest

from bandwidth_voice_exporter.http.clients import Clients

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
POWERSHELL = "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1682"


def scope(agent: str = "", client: str | None = "127.0.0.1", forwarded: str = "") -> Any:
    """A request of a client that says what it is."""
    headers = [(b"user-agent", agent.encode()), (b"x-forwarded-for", forwarded.encode())]
    return {
        "client": (client, 40000) if client else None,
        "headers": [pair for pair in headers if pair[1]],
    }


def note(clients: Clients, request: Any, at: int = 0) -> None:
    """A request has brought an event."""
    clients.note(request, dict(request["headers"]), at)


def seen(request: Any, proxies: str = "10.0.0.0/8") -> tuple[str, str]:
    """Return the kind and the place of the client that sent a request."""
    clients = Clients((ip_network(proxies),))
    note(clients, request)
    (client,) = clients.seen()
    return client.kind, client.place


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("BandwidthAPI/2.0", "Bandwidth"),
        ("curl/8.11.1", "command line"),
        ("Wget/1.21.3", "command line"),
        ("HTTPie/3.2", "command line"),
        (POWERSHELL, "command line"),
        (CHROME, "browser"),
        ("python-requests/2.32", "other"),
        ("", "other"),
        ("\u00ff\u2028", "other"),
    ],
)
def test_a_kind_is_told_by_what_a_client_says(agent: str, kind: str) -> None:
    """The User-Agent makes a client Bandwidth, a command line or a browser; any other is other."""
    assert seen(scope(agent))[0] == kind


@pytest.mark.parametrize(
    ("client", "forwarded", "place"),
    [
        ("127.0.0.1", "", "loopback"),
        ("::1", "", "loopback"),
        ("::ffff:127.0.0.1", "", "loopback"),
        ("192.168.1.5", "", "private"),
        ("fd00::5", "", "private"),
        ("100.64.0.1", "", "private"),
        ("8.8.8.8", "", "public"),
        ("2600:1f18::1", "", "public"),
        ("10.0.0.1", "8.8.8.8", "public"),
        ("8.8.4.4", "127.0.0.1", "public"),
        (None, "", "not known"),
    ],
)
def test_an_address_is_of_a_kind(client: str | None, forwarded: str, place: str) -> None:
    """It is the connection's address, or the one that a trusted proxy names."""
    assert seen(scope(client=client, forwarded=forwarded))[1] == place


def test_events_are_counted_by_kind() -> None:
    """Clients of one kind are one, with all their events and the time of the last."""
    clients = Clients(())
    for at, agent in enumerate(("curl/8", "BandwidthAPI/2.0", "curl/7", "curl/8"), 1):
        note(clients, scope(agent), at)
    assert [(one.kind, one.events, one.last) for one in clients.seen()] == [
        ("command line", 3, 4),
        ("Bandwidth", 1, 2),
    ]


def test_nothing_of_what_clients_say_is_kept() -> None:
    """However many there are, no text of theirs stays, and what does is bounded."""
    clients = Clients((ip_network("10.0.0.0/8"),))
    for number in range(10_000):
        note(clients, scope(f"Secret/{number}", "10.0.0.1", f"192.0.2.{number % 250}"))
    assert sum(one.events for one in clients.seen()) == 10_000
    reached: dict[int, Any] = {}
    waiting: list[Any] = [vars(clients)]
    while waiting:
        one = waiting.pop()
        if id(one) not in reached and not isinstance(one, type) and not callable(one):
            reached[id(one)] = one
            waiting += gc.get_referents(one)
    texts = [one for one in reached.values() if isinstance(one, str | bytes)]
    assert not [one for one in texts if "Secret" in str(one) or "192.0.2" in str(one)]
    assert len(reached) < 10_000
