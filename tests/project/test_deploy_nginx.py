"""The nginx example with Debian's nginx before the real exporter: what it says, and does not."""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from testkit import calls, handlers, waiting
from testkit.certificates import HOST, Authority, connection, dial
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter
from testkit.handler import Handler
from testkit.nginx import Nginx, before_a_handler

pytestmark = pytest.mark.needs("nginx")

NUMBERS = ("+14155550123", "+13035550188")
DIGITS = ("4155550123", "3035550188")  # in whatever form a number comes out
PERSONAL = {"from": NUMBERS[0], "to": NUMBERS[1], "tag": f"call back {NUMBERS[0]}"}
EVENT = {
    **PERSONAL,
    "eventType": "disconnect",
    "callId": "c-1",
    "cause": "busy",
    "direction": "inbound",
}
QUERY = urlencode(EVENT)
CREDENTIALS = {"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "between us"}
AUTHORIZED = {"Authorization": "Basic YmFuZHdpZHRoOmJldHdlZW4gdXM="}


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that signs nginx's certificate."""
    return Authority()


@pytest.fixture
def running(exporter: StartExporter) -> Exporter:
    """An exporter that believes the proxy and asks for credentials."""
    return exporter("--webhook.trusted-proxies=127.0.0.1", env=CREDENTIALS)


@pytest.fixture
def nginx(running: Exporter, tmp_path: Path, authority: Authority) -> Iterator[Nginx]:
    """The example before it, with TLS."""
    with Nginx(tmp_path / "nginx", [running.webhook_address], authority.issue(tmp_path)) as proxy:
        yield proxy


@dataclass(frozen=True)
class Delivery:
    """A request with numbers in it."""

    method: str = "POST"
    target: str = f"{WEBHOOK_PATH}?{QUERY}"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: AUTHORIZED)

    def send(self, nginx: Nginx, authority: Authority) -> int | None:
        """The status of its answer, over TLS; None where nginx hangs up instead."""
        with contextlib.closing(connection(nginx.address, authority.trusting())) as client:
            try:
                client.request(self.method, self.target, self.body, dict(self.headers))
                return client.getresponse().status
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return None


GET = Delivery("GET")
POST = Delivery("POST", body=json.dumps({**EVENT, "callId": "c-2"}).encode())


def assert_nothing_personal(nginx: Nginx) -> None:
    """No file that nginx wrote has a number in it."""
    for name, text in nginx.written().items():
        for digits in DIGITS:
            assert digits not in text, name


def test_deliveries_get_through_unseen(
    nginx: Nginx, running: Exporter, authority: Authority
) -> None:
    """POST and GET deliveries over TLS are counted, and nginx logs their path without a number."""
    assert GET.send(nginx, authority) == 204
    assert POST.send(nginx, authority) == 204
    assert calls.counted(running.metrics())["calls"] == {("inbound", "busy"): 2}
    nginx.wait_for_log(lambda line: f" GET {WEBHOOK_PATH} 204 " in line, "the GET's line")
    nginx.wait_for_log(lambda line: f" POST {WEBHOOK_PATH} 204 " in line, "the POST's line")
    assert_nothing_personal(nginx)


@pytest.mark.parametrize(
    ("delivery", "status"),
    [
        pytest.param(Delivery("GET", headers={}), 401, id="credentials"),
        pytest.param(Delivery("GET", f"/webhook?{QUERY}"), 404, id="path"),
        pytest.param(Delivery("PUT", body=b"{}"), 405, id="method"),
        pytest.param(Delivery(body=b"x" * 100_000), 413, id="large-for-the-exporter"),
        pytest.param(Delivery(body=b"x" * 200_000), 413, id="large-for-nginx"),
        pytest.param(Delivery("GET", f"{WEBHOOK_PATH}?{QUERY * 99}"), 414, id="long-query"),
    ],
)
def test_refused_deliveries_stay_unseen(
    nginx: Nginx, authority: Authority, delivery: Delivery, status: int
) -> None:
    """A delivery that the exporter or nginx refuses leaves none of its numbers in nginx's logs."""
    assert delivery.send(nginx, authority) == status
    nginx.wait_for_log(lambda line: f" {status} " in line, "the refusal's line")
    assert_nothing_personal(nginx)


def test_no_answer_is_passed_on_as_none(
    nginx: Nginx, running: Exporter, authority: Authority
) -> None:
    """Without an exporter nginx hangs up, so that Bandwidth sends again, and tells no number."""
    running.stop()
    assert GET.send(nginx, authority) is None
    assert POST.send(nginx, authority) is None
    nginx.wait_for_log(lambda line: f" POST {WEBHOOK_PATH} 444 " in line, "the POST's line")
    assert_nothing_personal(nginx)


def test_what_is_passed_on(exporter: StartExporter, tmp_path: Path, authority: Authority) -> None:
    """A handler's own 502 comes back as it is; where it gives no answer, nginx gives none, once."""
    with Handler(handlers.application) as handler:
        running = exporter(
            f"--forward.url={handler.url}/502",
            f"--forward.route={WEBHOOK_PATH}/more={handler.url}/rubbish",
            env=CREDENTIALS,
        )
        with Nginx(
            tmp_path / "nginx",
            [running.webhook_address],
            authority.issue(tmp_path),
            edit=before_a_handler,
        ) as proxy:
            assert GET.send(proxy, authority) == 502
            assert POST.send(proxy, authority) == 502
            more = f"{WEBHOOK_PATH}/more?{QUERY}"
            assert Delivery("POST", more, POST.body).send(proxy, authority) is None
            line = f" POST {WEBHOOK_PATH}/more 444 "
            proxy.wait_for_log(lambda written: line in written, "the line of what had no answer")
            assert_nothing_personal(proxy)
        # On the connection that the answers before were kept for: nginx does not send it again.
        assert len(handler.of("/rubbish")) == 1
        protos = {proto for one in handler.requests for proto in one.all("x-forwarded-proto")}
        assert protos == {"https"}


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["TLS", "plain"])
def test_broken_requests_stay_unseen(
    nginx: Nginx, authority: Authority, *, is_encrypted: bool
) -> None:
    """A request that is none, with TLS or without, is in no log with its numbers."""
    for rest in ("HTTP/1.1\r\nHost: a\r\nHost: b", "and more", "HTTP/1.1\r\nHost: \x01"):
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(dial(nginx.address))
            if is_encrypted:
                trusting = authority.trusting().wrap_socket(client, server_hostname=HOST)
                client = stack.enter_context(trusting)
            client.sendall(f"GET {WEBHOOK_PATH}?{QUERY} {rest}\r\n\r\n".encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    waiting.until(lambda: sum(" 400 " in line for line in nginx.lines()) == 3, "their lines")
    assert_nothing_personal(nginx)


def test_clients_cannot_give_themselves_an_address(
    nginx: Nginx, running: Exporter, authority: Authority
) -> None:
    """The exporter's log has the address that nginx sees, not one that the client claims."""
    headers = {"Authorization": "Basic eDp5", "X-Forwarded-For": "192.0.2.7"}
    claim = Delivery(body=b"{}", headers=headers)
    assert claim.send(nginx, authority) == 401
    line = running.wait_for_line(lambda line: "client" in line, "a refused client")
    assert line["client"] == HOST
