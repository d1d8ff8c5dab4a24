"""TLS of either listener, over real connections with certificates of the test's own."""

import contextlib
import http.client
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bandwidth_voice_exporter.metrics import catalog
from testkit import waiting
from testkit.certificates import HOST, Authority, Pair, connection, dial
from testkit.exporter import MODULE, WEBHOOK_PATH, Exporter, StartExporter, environment
from testkit.process import Process

EVENT = b'{"eventType": "disconnect", "callId": "c-1", "cause": "hangup", "direction": "inbound"}'
LOADED = catalog.WEB_CONFIG_LOADED.name

Secured = Callable[..., Exporter]


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that signs the certificates of servers."""
    return Authority()


@pytest.fixture
def webhook(exporter: StartExporter, tmp_path: Path, authority: Authority) -> Secured:
    """Start an exporter whose webhook listener has TLS, with more lines of its configuration."""

    def start(*lines: str) -> Exporter:
        authority.issue(tmp_path)
        return exporter(f"--webhook.config.file={write(tmp_path, *lines)}")

    return start


def write(directory: Path, *lines: str) -> Path:
    """A web configuration with a certificate and these lines of tls_server_config."""
    file = directory / "web.yml"
    text = ["tls_server_config:", "cert_file: server.crt", "key_file: server.key", *lines]
    file.write_text("\n  ".join(text))
    return file


def post(address: str, context: ssl.SSLContext) -> int:
    """Send an event over a new connection; the status of the answer."""
    with contextlib.closing(connection(address, context)) as client:
        client.request("POST", WEBHOOK_PATH, EVENT)
        return client.getresponse().status


def is_refused(address: str, context: ssl.SSLContext) -> bool:
    """Whether there is no answer, for TLS does not come to be."""
    try:
        post(address, context)
    except (OSError, http.client.RemoteDisconnected):
        return True
    return False


def handshake_errors(exporter: Exporter) -> float:
    """How many handshakes with the webhook listener failed."""
    name = catalog.TLS_HANDSHAKE_ERRORS.name
    return exporter.metrics()[name, frozenset({("listener", "webhook")})]


def serial(address: str, context: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection sees."""
    with (
        dial(address) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        certificate = secured.getpeercert()
        assert certificate
        return str(certificate["serialNumber"])


def test_webhook_listener(webhook: Secured, authority: Authority) -> None:
    """An event over https is answered 204 and counted, while the ops listener stays plain."""
    running = webhook()
    assert post(running.webhook_address, authority.trusting()) == 204
    assert sum(v for (n, _), v in running.metrics().items() if n == catalog.CALLS.name) == 1


def test_ops_listener(exporter: StartExporter, tmp_path: Path, authority: Authority) -> None:
    """The metrics are there over https, while the webhook listener stays plain."""
    authority.issue(tmp_path)
    running = exporter(f"--web.config.file={write(tmp_path)}")
    assert running.send_bytes(EVENT).status == 204
    with contextlib.closing(connection(running.ops_address, authority.trusting())) as client:
        client.request("GET", "/metrics")
        assert b"bandwidth_voice_calls_total" in client.getresponse().read()


def test_nothing_without_tls(webhook: Secured) -> None:
    """A listener with TLS gives no answer without, and counts it."""
    running = webhook()
    with pytest.raises((OSError, http.client.HTTPException)):
        running.send_bytes(EVENT)
    assert handshake_errors(running) == 1
    assert [line for line in running.log_lines() if line["level"] == "error"] == []


def test_client_that_does_not_trust(webhook: Secured, authority: Authority) -> None:
    """A client that refuses the certificate shows in a counter, and in the log but once."""
    running = webhook()
    assert post(running.webhook_address, authority.trusting()) == 204
    assert handshake_errors(running) == 0
    for _ in range(3):
        assert is_refused(running.webhook_address, Authority().trusting())
    waiting.until(lambda: handshake_errors(running) == 3, "three handshakes that failed")
    [line] = [line for line in running.log_lines() if "TLS" in line["msg"]]
    assert (line["level"], line["listener"]) == ("warning", "webhook")
    assert line["reason"] == "TLSV1_ALERT_UNKNOWN_CA"


def test_who_tries_it_is_told_of_https(webhook: Secured) -> None:
    """The commands printed at the start have https only for the listener with TLS."""
    running = webhook()
    running.process.wait_for_log(rf"curl -i https://{running.webhook_address}/")
    running.process.wait_for_log(rf"curl -s http://{running.ops_address}/")


def of_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks one version of TLS only, however old it is."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("minimum", ["", "min_version: TLS12", "min_version: TLS13"])
def test_versions(minimum: str, webhook: Secured, authority: Authority) -> None:
    """TLS older than min_version, by default 1.2, is refused, and the log says why."""
    running = webhook(minimum)
    is_13 = minimum.endswith("TLS13")
    spoken = {
        ssl.TLSVersion.TLSv1_1: False,
        ssl.TLSVersion.TLSv1_2: not is_13,
        ssl.TLSVersion.TLSv1_3: True,
    }
    for version, is_spoken in spoken.items():
        client = of_version(authority.trusting(), version)
        if is_spoken:
            assert post(running.webhook_address, client) == 204
        else:
            assert is_refused(running.webhook_address, client)
            running.wait_for_line(
                lambda line: line.get("reason") == "UNSUPPORTED_PROTOCOL", "why it was refused"
            )


NONE, TRUSTED, STRANGE = "none", "trusted", "strange"


@pytest.mark.parametrize(
    ("mode", "accepted"),
    [
        ("NoClientCert", {NONE, TRUSTED, STRANGE}),
        ("VerifyClientCertIfGiven", {NONE, TRUSTED}),
        ("RequireAndVerifyClientCert", {TRUSTED}),
    ],
)
def test_client_certificates(
    mode: str, accepted: set[str], webhook: Secured, authority: Authority, tmp_path: Path
) -> None:
    """Each client_auth_type takes the clients that Go's of this name takes."""
    clients = Authority()
    (tmp_path / "clients.crt").write_bytes(clients.pem)
    ca = "client_ca_file: clients.crt" if mode != "NoClientCert" else ""
    running = webhook(f"client_auth_type: {mode}", ca)
    pairs: dict[str, Pair | None] = {
        NONE: None,
        TRUSTED: clients.issue(tmp_path, TRUSTED, "client.test"),
        STRANGE: Authority().issue(tmp_path, STRANGE, "client.test"),
    }
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        refused = {
            name
            for name, pair in pairs.items()
            if is_refused(running.webhook_address, of_version(authority.trusting(pair), version))
        }
        assert set(pairs) - refused == accepted


def test_intermediate_client_ca(webhook: Secured, authority: Authority, tmp_path: Path) -> None:
    """An intermediate in client_ca_file is enough, without the root that signed it."""
    root = Authority()
    team = Authority(root)
    (tmp_path / "clients.crt").write_bytes(team.pem)
    running = webhook("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: clients.crt")
    ours = authority.trusting(team.issue(tmp_path, "ours", "client.test"))
    theirs = authority.trusting(root.issue(tmp_path, "theirs", "client.test"))
    assert post(running.webhook_address, ours) == 204
    assert is_refused(running.webhook_address, theirs)


def test_rotation(webhook: Secured, authority: Authority, tmp_path: Path) -> None:
    """A new certificate is there for new connections, while one that is open goes on."""
    running = webhook()
    trusting = authority.trusting()
    with contextlib.closing(connection(running.webhook_address, trusting)) as client:
        for _ in range(2):
            before = serial(running.webhook_address, trusting)
            client.request("POST", WEBHOOK_PATH, EVENT)
            assert client.getresponse().read() == b""
            kept = client.sock
            authority.issue(tmp_path)
            waiting.until(
                lambda old=before: serial(running.webhook_address, trusting) != old,  # type: ignore[misc]
                "the new certificate",
            )
            client.request("POST", WEBHOOK_PATH, EVENT)
            assert client.getresponse().read() == b""
            assert client.sock is kept
    assert [line for line in running.log_lines() if "error" in line] == []


def test_broken_rotation(webhook: Secured, authority: Authority, tmp_path: Path) -> None:
    """A new certificate that cannot be used is logged and shown, and the old one stays."""
    running = webhook()
    trusting = authority.trusting()
    before = serial(running.webhook_address, trusting)

    def is_loaded() -> float:
        assert post(running.webhook_address, trusting) == 204
        return running.metrics()[LOADED, frozenset({("listener", "webhook")})]

    assert is_loaded() == 1
    (tmp_path / "server.crt").write_text("nonsense")
    waiting.until(lambda: is_loaded() == 0, "what went wrong in the metric")
    assert serial(running.webhook_address, trusting) == before
    line = running.wait_for_line(lambda line: line["level"] == "error", "an error in the log")
    assert line["listener"] == "webhook"
    assert str(tmp_path / "server.crt") in line["reason"]
    authority.issue(tmp_path)
    waiting.until(lambda: is_loaded() == 1, "the next certificate")
    assert serial(running.webhook_address, trusting) != before


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_rotation_of_client_cas(
    version: ssl.TLSVersion, webhook: Secured, authority: Authority, tmp_path: Path
) -> None:
    """A client of a CA that is gone stays out, with a session that it could resume before too."""
    old, new = Authority(), Authority()
    ca_file = tmp_path / "clients.crt"
    ca_file.write_bytes(old.pem)
    running = webhook("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: clients.crt")
    trusting = of_version(authority.trusting(old.issue(tmp_path, "client", "client.test")), version)

    def resume(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        """The session after a request over a new connection, and whether it is the given one."""
        with (
            dial(running.webhook_address) as plain,
            trusting.wrap_socket(plain, server_hostname=HOST, session=session) as secured,
        ):
            secured.sendall(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
            if not secured.recv(1000):
                raise ConnectionError
            return secured.session, secured.session_reused

    session, is_resumed = resume(None)
    assert not is_resumed
    session, is_resumed = resume(session)
    assert is_resumed, "a session is resumed where nothing changed"
    ca_file.write_bytes(new.pem)
    newcomer = authority.trusting(new.issue(tmp_path, "newcomer", "client.test"))
    waiting.until(lambda: not is_refused(running.webhook_address, newcomer), "the new CA")
    with pytest.raises(OSError):  # noqa: PT011  # which one depends on when the alert comes
        resume(session)
    assert is_refused(running.webhook_address, trusting)


@pytest.mark.program
def test_encrypted_key(tmp_path: Path, authority: Authority) -> None:
    """A key with a passphrase is refused at once, instead of asking somebody for it."""
    pair = authority.issue(tmp_path)
    key = serialization.load_pem_private_key(pair.key_file.read_bytes(), None)
    pair.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    command = [*MODULE, "--check-config", f"--web.config.file={write(tmp_path)}"]
    with Process(command, tmp_path, environment(tmp_path)) as process:
        assert process.wait() == 2
        assert f"{pair.key_file}: the key is encrypted\n" in process.output()


@pytest.fixture
def silent(webhook: Secured) -> Iterator[Exporter]:
    """An exporter that somebody is connected to who does not begin with TLS."""
    running = webhook()
    with dial(running.webhook_address):
        yield running


def test_stop_in_spite_of_a_silent_client(silent: Exporter) -> None:
    """A client that connects and never begins with TLS holds up the stop for less than 10 s."""
    begun = time.monotonic()
    assert silent.stop() == 0
    assert time.monotonic() - begun < 10


def test_silent_clients_count(
    exporter: StartExporter, tmp_path: Path, authority: Authority
) -> None:
    """A connection that never begins with TLS is one: beyond the limit and 200 more they wait."""
    authority.issue(tmp_path)
    running = exporter(f"--webhook.config.file={write(tmp_path)}", "--webhook.max-connections=5")
    files = Path(f"/proc/{running.process.pid}/fd")
    before = len(list(files.iterdir()))
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(dial(running.webhook_address))
        assert running.ops.request("GET", "/-/ready").status == 200
        assert len(list(files.iterdir())) < before + 5 + 200 + 20
