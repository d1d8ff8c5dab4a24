"""Users and passwords of the ops listener."""

import asyncio
import base64
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from bandwidth_voice_exporter.http.users import Protected
from bandwidth_voice_exporter.logs import Log
from testkit import waiting
from testkit.certificates import Authority
from testkit.client import Answer
from testkit.exporter import Exporter, StartExporter
from testkit.prometheus import Job, StartPrometheus

PATHS = ("/metrics", "/-/healthy", "/-/ready", "/", "/nowhere")
REAL = bcrypt.checkpw


def hashed(password: bytes, cost: int = 4) -> bytes:
    """A bcrypt hash as htpasswd writes it."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).replace(b"$2b$", b"$2y$")


def basic(user: str, password: str, encoding: str = "utf-8") -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()


class Listener:
    """An application behind passwords, and the checks that bcrypt was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> None:
        """Begin with two users."""
        self.users: Mapping[bytes, bytes] = {b"alice": hashed(b"secret"), b"bob": hashed(b"other")}
        self.users = {**self.users, "zoë".encode(): hashed("pässword".encode())}
        self._loop = loop
        self.checks: list[bytes] = []
        self.check: Callable[[bytes, bytes], bool] = REAL
        monkeypatch.setattr(bcrypt, "checkpw", self._check)
        self._protected = Protected(
            PlainTextResponse("inside"), lambda: self.users, Log("test_passwords")
        )

    def _check(self, password: bytes, stored: bytes) -> bool:
        self.checks.append(stored)
        return self.check(password, stored)

    async def _get(self, authorization: str | None) -> list[Message]:
        """What is sent as an answer."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("an answer needs no body")

        headers = [(b"authorization", authorization.encode())] if authorization else []
        scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await self._protected(scope, receive, send)
        return sent

    def answer(self, authorization: str | None) -> list[Message]:
        """What is sent as the answer to one request."""
        return self._loop.run(self._get(authorization))

    def ask(self, *authorizations: str | None) -> list[int]:
        """The statuses of the answers to requests that come at once."""

        async def all_at_once() -> list[list[Message]]:
            return await asyncio.gather(*map(self._get, authorizations))

        return [answer[0]["status"] for answer in self._loop.run(all_at_once())]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A listener with two users, whose requests come on one event loop."""
    with asyncio.Runner() as loop:
        yield Listener(monkeypatch, loop)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (basic("alice", "secret"), 200),
        (basic("alice", "secret").replace("Basic", "basic"), 200),
        (basic("bob", "other"), 200),
        (basic("bob", "secret"), 401),
        (basic("alice", "Secret"), 401),
        (basic("alice", ""), 401),
        (basic("carol", "secret"), 401),
        (basic("zoë", "pässword"), 200),
        (basic("zoë", "pässword", "latin-1"), 200),
        (basic("zoë", "passwörd", "latin-1"), 401),
        (basic("", ""), 401),
        (basic("alice", "secret\0"), 401),
        ("Bearer secret", 401),
        ("Basic", 401),
        ("Basic !", 401),
        ("Basic YWxpY2U=", 401),
        (None, 401),
    ],
)
def test_who_comes_in(authorization: str | None, status: int, listener: Listener) -> None:
    """Only a user with that user's password comes in, and does so a second time."""
    assert listener.ask(authorization) == [status]
    assert listener.ask(authorization) == [status]


def test_unknown_user_and_wrong_password(listener: Listener) -> None:
    """Neither the answer nor the number of hashes tells an unknown user from a wrong password."""
    answers = {}
    for user in ("alice", "carol"):
        listener.checks.clear()
        answers[user] = listener.answer(basic(user, "wrong")), len(listener.checks)
    assert answers["alice"] == answers["carol"]
    assert answers["carol"][1] == 1


def test_unknown_users_cost_what_known_ones_cost(listener: Listener) -> None:
    """A hash of the cost that is in use is computed for each unknown user, the same each time."""
    listener.users = {b"alice": hashed(b"a", 4), b"bob": hashed(b"b", 5)}
    names = [f"user{number}" for number in range(20)]
    for password in ("one", "two"):
        listener.ask(*(basic(name, password) for name in names))
    first, second = sorted(listener.checks[:20]), sorted(listener.checks[20:])
    assert first == second
    assert set(first) == set(listener.users.values())


def test_the_password_of_another_user(listener: Listener) -> None:
    """A password of somebody else opens nothing, for known users and unknown ones."""
    names = [f"user{number}" for number in range(20)]
    for password in ("secret", "other"):
        assert set(listener.ask(*(basic(name, password) for name in names))) == {401}


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_a_second_check_is_remembered(password: str, listener: Listener) -> None:
    """The same credentials again cost no hash, neither the right ones nor wrong ones."""
    first = listener.ask(basic("alice", password))
    assert len(listener.checks) == 1
    assert listener.ask(*[basic("alice", password)] * 3) == first * 3
    assert len(listener.checks) == 1


def test_the_same_credentials_at_once(listener: Listener) -> None:
    """Requests with the same credentials that come at once cost at most a hash for each slot."""
    assert set(listener.ask(*[basic("alice", "secret")] * 10)) == {200}
    assert len(listener.checks) <= 2


def test_two_checks_at_once(listener: Listener) -> None:
    """Two hashes are computed at once, and never a third."""
    both = threading.Barrier(2)
    lock = threading.Lock()
    running = 0
    most = 0

    def check(password: bytes, stored: bytes) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)
        matches = REAL(password, stored)
        with lock:
            running -= 1
        return matches

    listener.check = check
    assert set(listener.ask(*(basic("alice", f"guess{number}") for number in range(8)))) == {401}
    assert (most, len(listener.checks)) == (2, 8)


def test_a_new_hash_counts_at_once(listener: Listener) -> None:
    """What is remembered of an old hash is worth nothing once the user has a new one."""
    old, new = basic("alice", "secret"), basic("alice", "new")
    assert listener.ask(old, new) == [200, 401]
    listener.users = {b"alice": hashed(b"new")}
    assert listener.ask(old, new) == [401, 200]
    assert listener.ask(basic("bob", "other")) == [401]


def test_guesses_push_nobody_out(listener: Listener) -> None:
    """However many wrong passwords come, memory is bounded and who is known needs no hash."""
    listener.ask(basic("alice", "secret"))
    listener.check = lambda *_: False
    listener.ask(*(basic("alice", f"guess{number}") for number in range(1500)))
    listener.checks.clear()
    assert listener.ask(basic("alice", "secret")) == [200]
    assert listener.checks == []
    listener.ask(basic("alice", "guess0"))
    assert len(listener.checks) == 1, "the oldest guess is forgotten"


def test_without_users(listener: Listener) -> None:
    """Without users nobody has to say who they are, and who does comes in too."""
    listener.users = {}
    assert listener.ask(None, basic("alice", "wrong")) == [200, 200]
    assert listener.checks == []


def test_passwords_longer_than_bcrypt_takes(listener: Listener) -> None:
    """Of a long password the first 72 bytes count, as for htpasswd and exporter-toolkit."""
    listener.users = {b"alice": hashed(b"x" * 72)}
    given = [basic("alice", "x" * length) for length in (71, 72, 100)]
    assert listener.ask(*given) == [401, 200, 200]


def test_nobody_is_named_in_the_log(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong credentials are logged once a minute, without user and password."""
    with caplog.at_level(logging.INFO, "test_passwords"):
        listener.ask(basic("mallory", "wrong"), basic("mallory", "wrong2"), None)
    [record] = caplog.records
    assert "mallory" not in str(vars(record))


# Over real HTTP


def write(file: Path, more: str = "", **users: str) -> Path:
    """A web configuration with users and their passwords."""
    lines = [f"  {user}: {hashed(password.encode()).decode()}" for user, password in users.items()]
    file.write_text("\n".join(["basic_auth_users:", *lines, more]))
    return file


def get(exporter: Exporter, path: str, *credentials: str) -> Answer:
    """GET with the credentials or without."""
    headers = {"authorization": basic(*credentials)} if credentials else {}
    return exporter.ops.request("GET", path, headers=headers)


def test_every_path_needs_a_password(exporter: StartExporter, tmp_path: Path) -> None:
    """Health, pages and paths that are not there answer 401 to anybody else."""
    running = exporter(f"--web.config.file={write(tmp_path / 'web.yml', alice='secret')}")
    for path in PATHS:
        for credentials in ((), ("alice", "wrong"), ("bob", "secret")):
            answer = get(running, path, *credentials)
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert get(running, path, "alice", "secret").status == (404 if path == "/nowhere" else 200)
    assert running.send({"eventType": "disconnect", "callId": "c-1"}).status == 204


def test_rotation_of_users(exporter: StartExporter, tmp_path: Path) -> None:
    """A changed file lets new users in and old ones out, without a restart."""
    file = write(tmp_path / "web.yml", alice="secret")
    running = exporter(f"--web.config.file={file}")
    assert get(running, "/metrics", "alice", "secret").status == 200
    write(file, alice="new", bob="other")
    waiting.until(lambda: get(running, "/-/ready", "bob", "other").status == 200, "the new user")
    assert get(running, "/metrics", "alice", "secret").status == 401
    assert get(running, "/metrics", "alice", "new").status == 200


@pytest.mark.prometheus
def test_a_real_prometheus(
    exporter: StartExporter, prometheus: StartPrometheus, tmp_path: Path
) -> None:
    """Prometheus scrapes over https with user, password and client certificate, and not without."""
    authority, clients = Authority(), Authority()
    authority.issue(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "clients.crt").write_bytes(clients.pem)
    pair = clients.issue(tmp_path, "client", "prometheus.test")
    tls = (
        "tls_server_config: {cert_file: server.crt, key_file: server.key,\n"
        "  client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert}"
    )
    file = write(tmp_path / "web.yml", tls, prometheus="secret")
    running = exporter(f"--web.config.file={file}")
    tls_config: dict[str, Any] = {"ca_file": str(tmp_path / "ca.crt")}
    with_pair = {"cert_file": str(pair.cert_file), "key_file": str(pair.key_file)}
    right = {"username": "prometheus", "password": "secret"}
    asking: dict[str, Mapping[str, Any]] = {
        "right": {"tls_config": tls_config | with_pair, "basic_auth": right},
        "wrong": {
            "tls_config": tls_config | with_pair,
            "basic_auth": right | {"password": "wrong"},
        },
        "no-certificate": {"tls_config": tls_config, "basic_auth": right},
    }
    server = prometheus(
        *(
            Job(name, [running.ops_address], more={"scheme": "https", **more})
            for name, more in asking.items()
        )
    )
    server.wait_for_scrapes("right", 3)
    server.process.wait_until(
        lambda: len(server.query("up")) == len(asking), "a scrape of each job"
    )
    up = {dict(labels)["job"]: value for labels, value in server.query("up").items()}
    assert up == {"right": 1, "wrong": 0, "no-certificate": 0}
    assert server.query('bandwidth_voice_exporter_build_info{job="right"}')
