"""Access to the pages, and its refusal."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter.http import Clients, peer
from bandwidth_voice_exporter.http.users import Protected
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics.instruments import Instruments
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.ops.app import Scrape, application
from bandwidth_voice_exporter.ops.history import History
from bandwidth_voice_exporter.ops.pages import Pages
from bandwidth_voice_exporter.ops.site import Site
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.settings.values import Address
from testkit.exporter import StartExporter

PAGES = ("/", "/failures", "/api/v1/failures", "/api/v1/failures.csv")
STRANGER = "192.0.2.7"


def scope(client: str | None, host: str | None = "localhost:10060", **headers: str) -> Any:
    """A request as uvicorn hands it on, from a peer's address."""
    sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http",
        "client": (client, 40000) if client else None,
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
    }


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:10060", "127.0.0.1:10060", "[::1]:10060", "[::1]"]
)
def test_this_machine_is_local(client: str, host: str) -> None:
    """A loopback address that asks for a loopback name is this machine."""
    assert peer.is_local(scope(client, host))


@pytest.mark.parametrize(
    "client",
    [STRANGER, "10.0.0.1", "::ffff:192.0.2.7", "fe80::1%eth0", "0.0.0.0", "", None],  # noqa: S104  # a peer's
)
def test_another_address_is_not_local(client: str | None) -> None:
    """A peer whose address is not a loopback address, or that has none, is not local."""
    assert not peer.is_local(scope(client))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:10060", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("2130706433", "0.0.0.0:10060", "192.0.2.7", "localhost:10060:1", "localhost@evil", None),
    ],
)
def test_a_name_that_others_have_too_is_not_local(host: str | None) -> None:
    """A name that a stranger's page may have pointed here is refused, whoever asks for it."""
    assert not peer.is_local(scope("127.0.0.1", host))


@pytest.mark.parametrize(
    "header",
    [
        *("x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "x_forwarded_port"),
        *("x_forwarded_server", "x_forwarded", "forwarded", "via", "x_real_ip", "x_client_ip"),
        *("cf_connecting_ip", "cf_ray", "true_client_ip", "fastly_client_ip"),
        *("x_original_host", "x_original_forwarded_for", "x_envoy_external_address"),
    ],
)
def test_what_was_forwarded_is_not_local(header: str) -> None:
    """A proxy on this machine that says it is one makes nobody local."""
    assert not peer.is_local(scope("127.0.0.1", **{header: "127.0.0.1"}))


def test_two_hosts_are_none() -> None:
    """A request that names two hosts is not local."""
    request = scope("127.0.0.1")
    request["headers"] += [(b"host", b"evil.example")]
    assert not peer.is_local(request)


@pytest.mark.parametrize(
    "host",
    [
        *("exporter.internal:10060", "EXPORTER.internal", "exporter.internal.:80", "localhost:1"),
        *("192.0.2.7:10060", "[2001:db8::7]:10060", "[fe80::1]", "127.0.0.1"),
    ],
)
def test_allowed_names_and_addresses_are_asked_for(host: str) -> None:
    """An address cannot be made to point elsewhere; a name may be used where it is allowed."""
    assert peer.Hosts(["Exporter.internal", ""]).are_asked(scope(STRANGER, host))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:10060", "exporter.internal.evil.example", "internal", ":1"),
        *("127.0.0.1.evil.example", "192.0.2.7.nip.io", "2130706433", "exporter.internal@x", None),
    ],
)
def test_other_names_are_not(host: str | None) -> None:
    """Any other name may be a stranger's that points here, and so may none."""
    assert not peer.Hosts(["exporter.internal", ""]).are_asked(scope("127.0.0.1", host))


def status(
    path: str,
    client: str,
    *,
    is_public: bool = False,
    has_users: bool = False,
    host: str = "exporter.internal:10060",
) -> int:
    """The status that a peer at an address gets from the ops listener's application."""
    tally = Tally(Limits(), 0)
    state = State(tally=tally, history=History(tally), takes_events=True)
    pages = Pages(
        state=state,
        instruments=(instruments := Instruments()),
        lookup=None,
        names={},
        site=(
            site := Site(
                route_prefix="",
                link_prefix="",
                external_url=None,
                telemetry_path="/metrics",
                webhook_path="/webhooks/voice",
                webhook_url="http://127.0.0.1:10061/webhooks/voice",
                webhook_needs_credentials=False,
                address=Address("0.0.0.0", 10060),  # noqa: S104  # nothing listens
                has_tls=False,
                version="0",
                kept=None,
            )
        ),
        has_users=lambda: has_users,
        is_public=is_public,
        hosts=peer.Hosts(["exporter.internal"]),
        clients=Clients(()),
    )
    app = application(site, Scrape(state, instruments, {}), state, pages.routes())
    users = {b"u": b"$2b$04$" + b"a" * 53} if has_users else {}
    statuses = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    whole = scope(client, host) | {
        "method": "GET",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "raw_path": path.encode(),
        "server": ("x", 1),
    }
    asyncio.run(Protected(app, lambda: users, Log())(whole, receive, send))
    return int(statuses[0])


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_shown_no_page(path: str) -> None:
    """A page or its API answers 403 to another address, unless it is public."""
    assert status(path, STRANGER) == 403
    assert status(path, STRANGER, is_public=True) == (404 if "api" in path else 200)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("client", [STRANGER, "127.0.0.1"])
def test_public_pages_are_not_for_any_name(path: str, client: str) -> None:
    """A page that is public is refused all the same for a name that is not the exporter's."""
    assert status(path, client, is_public=True, host="evil.example") == 403


@pytest.mark.parametrize("path", PAGES)
def test_users_keep_the_pages(path: str) -> None:
    """With users nobody without a password gets as far as a page, from this machine or not."""
    for client in (STRANGER, "127.0.0.1"):
        assert status(path, client, has_users=True) == 401
        assert status(path, client, has_users=True, is_public=True) == 401


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready", "/runbooks"])
def test_metrics_and_health_answer_everybody(path: str) -> None:
    """Metrics, health and runbooks do not ask where a request comes from, nor by what name."""
    assert status(path, STRANGER) == 200
    assert status(path, STRANGER, is_public=True, host="evil.example") == 200


def test_a_rebound_name_is_refused_by_the_program(exporter: StartExporter) -> None:
    """The real listener refuses a loopback request for another name, and says what to do."""
    running = exporter()
    for path in PAGES:
        answer = running.ops.request("GET", path, headers={"Host": "evil.example"})
        assert answer.status == 403
        assert "--web.pages-public" in answer.text
        assert "Content-Security-Policy" in answer.headers
    assert running.ops.request("GET", "/metrics", headers={"Host": "evil.example"}).status == 200


def test_public_pages_are_asked_for_by_their_names(exporter: StartExporter) -> None:
    """With --web.pages-public the pages answer any address and the names that they were given."""
    running = exporter(
        "--web.pages-public",
        "--web.allowed-host=status.example",
        "--web.allowed-host=other.example",
        "--web.external-url=https://voice.example",
    )
    names = (
        "status.example",
        "other.example:1",
        "voice.example",
        "192.0.2.7",
        socket.gethostname(),
    )
    for host in names:
        headers = {"Host": host, "X-Forwarded-For": STRANGER}
        assert {running.ops.request("GET", path, headers=headers).status for path in PAGES} == {200}
    for path in PAGES:
        answer = running.ops.request("GET", path, headers={"Host": "evil.example"})
        assert answer.status == 403
        assert "--web.allowed-host" in answer.text
    for path in ("/metrics", "/-/healthy", "/-/ready"):
        assert running.ops.request("GET", path, headers={"Host": "evil.example"}).status == 200


def test_who_has_a_password_sees_the_pages(exporter: StartExporter, tmp_path: Path) -> None:
    """With basic_auth_users the right password opens the pages, under any name."""
    config = tmp_path / "web.yml"
    # The password is "right".
    config.write_text("basic_auth_users:\n  me: " + RIGHT + "\n")
    running = exporter(f"--web.config.file={config}")
    headers = {"Host": "status.example", "Authorization": "Basic bWU6cmlnaHQ="}
    assert running.ops.request("GET", "/", headers=headers).status == 200
    assert running.ops.request("GET", "/").status == 401


RIGHT = "$2b$04$zGbRtUwQFrhBFxZtp0pk3uBo.4nQfbIWqO9gJP9OjqwOzWl1fm9eS"
