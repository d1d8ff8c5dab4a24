"""The ops listener behind a path: --web.external-url and --web.route-prefix."""

import html
import re
from urllib.parse import urljoin

import pytest

from bandwidth_voice_exporter.settings.resolve import resolve
from testkit.calls import APPLICATION
from testkit.exporter import Exporter, StartExporter

EVENT = {
    "eventType": "disconnect",
    "applicationId": APPLICATION,
    "direction": "inbound",
    "cause": "busy",
}
PAGES = ("/", "/failures", "/failures?cause=busy&limit=1", "/failures?from=1h", "/runbooks")


def links(running: Exporter, path: str) -> set[str]:
    """Every address that a page leads to, fetches or sends a form to, as a browser resolves it."""
    answer = running.ops.request("GET", path)
    assert answer.status == 200, path
    found = re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
    assert len(found) > 10
    resolved = {urljoin(path, html.unescape(link)) for link in found}
    return {link for link in resolved if link != path and "#" not in link}


@pytest.mark.parametrize(
    ("flags", "routes", "shown"),
    [
        (("--web.external-url=https://a.example/voice/",), "/voice", "/voice"),
        (("--web.route-prefix=ops/voice",), "/ops/voice", "/ops/voice"),
        (("--web.external-url=https://a.example/voice", "--web.route-prefix=/"), "", "/voice"),
        (("--web.external-url=https://a.example", "--web.route-prefix=/x"), "/x", ""),
    ],
)
def test_everything_is_behind_the_path(
    exporter: StartExporter, flags: tuple[str, ...], routes: str, shown: str
) -> None:
    """Metrics, health, API and pages are there, and each link leads there as a proxy passes it."""
    running = exporter(*flags, "--web.telemetry-path=/prom")
    for number in range(3):
        assert running.send(EVENT | {"callId": f"c-{number}"}).status == 204
    for path in ("/prom", "/-/healthy", "/-/ready", "/api/v1/failures", "/api/v1/failures.csv"):
        assert running.ops.request("GET", routes + path).status == 200
        if routes:
            assert running.ops.request("GET", path).status == 404
    for page in PAGES:
        found = links(running, routes + page)
        assert all(link.startswith(f"{shown}/") for link in found)
        for link in found:
            passed = routes + link.removeprefix(shown)
            assert running.ops.request("GET", passed).status == 200, link
    status = html.unescape(running.ops.request("GET", f"{routes}/").text)
    assert f"metrics_path: {routes}/prom\n" in status
    assert f'targets: ["{running.ops_address}"]' in status


@pytest.mark.parametrize("path", ["/", "/voice"])
def test_the_way_in_is_shown(exporter: StartExporter, path: str) -> None:
    """The root, and the path without its slash, lead to the status page."""
    running = exporter("--web.external-url=https://a.example/voice")
    answer = running.ops.request("GET", path)
    assert (answer.status, answer.headers["Location"]) == (302, "/voice/")


def test_what_is_printed_has_the_path(exporter: StartExporter) -> None:
    """The text at a start names the addresses that work."""
    running = exporter("--web.route-prefix=/voice")
    printed = running.process.wait_until(
        lambda: running.process.stdout.read_text() or None, "the text", 20
    )
    assert f"{running.ops_url}/voice/metrics\n" in printed
    assert f"{running.ops_url}/voice/\n" in printed


def test_prometheus_is_not_sent_through_the_proxy(exporter: StartExporter) -> None:
    """To who comes by the external URL, the target to copy is the listener, not the proxy."""
    running = exporter(
        "--web.external-url=https://a.example/voice",
        "--web.pages-public",
        "--web.allowed-host=direct.example",
    )
    port = running.ops_address.rpartition(":")[2]
    for host, target in (("a.example", "127.0.0.1"), ("direct.example", "direct.example")):
        page = running.ops.request("GET", "/voice/", headers={"Host": host}).text
        assert f'targets: ["{target}:{port}"]' in html.unescape(page)


@pytest.mark.parametrize(
    ("flags", "routes", "shown"),
    [
        ({}, "", ""),
        ({"web.route-prefix": "/"}, "", ""),
        ({"web.external-url": "http://a.example/b"}, "/b", "/b"),
        ({"web.external-url": "http://a.example/b", "web.route-prefix": "c"}, "/c", "/b"),
    ],
)
def test_the_path_of_one_is_the_default_of_the_other(
    flags: dict[str, str], routes: str, shown: str
) -> None:
    """Without a prefix that of the external URL is taken, as Prometheus does."""
    settings = resolve(flags, {}, {})
    assert (settings.web_route_prefix, settings.web_link_prefix) == (routes, shown)
