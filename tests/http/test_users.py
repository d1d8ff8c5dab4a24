"""Users and passwords of the ops listener."""

import asyncio
import base64
import contextlib
import http.client
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

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
T = TypeVar("T")


def hashed(password: bytes, cost: int = 4) -> bytes:
    """A bcrypt hash as htpasswd writes it."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).replace(b"$2b$", b"$2y$")


def basic(user: str, password: str, encoding: str = "utf-8") -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()


class Sender:
    """A client that sends a request, and hangs up at an event."""

    def __init__(self, gone: asyncio.Event | None) -> None:
        """Without an event they stay."""
        self._gone = gone or asyncio.Event()

    async def left(self) -> None:
        """Wait until they have gone."""
        await self._gone.wait()

    def trust(self) -> None:
        """Take note of right credentials."""

    def hang_up(self) -> None:
        """Close the connection."""


class Listener:
    """An application behind passwords, and the checks that bcrypt was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> None:
        """Begin with two users."""
        self.users: Mapping[bytes, bytes] = {b"alice": hashed(b"secret"), b"bob": hashed(b"other")}
        self.users = {**self.users, "zoë".encode(): hashed("pässword".encode())}
        self.loop = loop
        self.checks: list[bytes] = []
        self.check: Callable[[bytes, bytes], bool] = REAL
        monkeypatch.setattr(bcrypt, "checkpw", self._check)
        self._protected = Protected(
            PlainTextResponse("inside"), lambda: self.users, Log("test_passwords")
        )

    def _check(self, password: bytes, stored: bytes) -> bool:
        self.checks.append(stored)
        return self.check(password, stored)

    async def get(
        self,
        authorization: str | None,
        source: str = "192.0.2.1",
        gone: asyncio.Event | None = None,
    ) -> list[Message]:
        """Return the messages sent in answer to a client that hangs up at an event."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("an answer needs no body")

        headers = [(b"authorization", authorization.encode())] if authorization else []
        scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        scope["client"], scope["sender"] = (source, 1234), Sender(gone)
        await self._protected(scope, receive, send)
        return sent

    def answer(self, authorization: str | None) -> list[Message]:
        """Return the messages sent in answer to one request."""
        return self.loop.run(self.get(authorization))

    def ask(self, *authorizations: str | None) -> list[int]:
        """The statuses of the answers to requests that come at once, each from another machine."""

        async def all_at_once() -> list[list[Message]]:
            return await asyncio.gather(
                *(
                    self.get(authorization, f"192.0.{number // 256}.{number % 256}")
                    for number, authorization in enumerate(authorizations)
                )
            )

        return [answer[0]["status"] for answer in self.loop.run(all_at_once())]

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Let what a test tells happen on the listener's event loop."""
        return self.loop.run(story)


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
    """A remembered check of an old password counts for nothing once the user has a new hash."""
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


class Slow:
    """Checks that end when a test says so, in the order in which they began."""

    def __init__(self, listener: Listener) -> None:
        """Take the place of bcrypt."""
        self.begun: list[bytes] = []
        self._loop = listener.loop.get_loop()
        self._news = asyncio.Event()
        self._may_end = threading.Semaphore(0)
        listener.check = self._check

    def _check(self, password: bytes, stored: bytes) -> bool:
        self.begun.append(password)
        self._loop.call_soon_threadsafe(self._news.set)
        assert self._may_end.acquire(timeout=30)
        return REAL(password, stored)

    def end(self, checks: int = 1) -> None:
        """Let so many checks end."""
        self._may_end.release(checks)

    async def until_begun(self, checks: int) -> None:
        """Wait until so many checks have begun in all."""
        async with asyncio.timeout(20):
            while len(self.begun) < checks:
                self._news.clear()
                await self._news.wait()


def guess(number: int) -> str:
    """A guess that nobody else makes."""
    return basic("alice", f"guess{number:04}")


def test_another_source_has_the_next_turn(listener: Listener) -> None:
    """However many guesses of one address wait, who comes from another one is checked next."""
    slow = Slow(listener)

    async def story() -> int:
        guesses = [asyncio.create_task(listener.get(guess(number))) for number in range(18)]
        await slow.until_begun(2)
        scrape = asyncio.create_task(listener.get(basic("bob", "other"), "198.51.100.7"))
        await asyncio.sleep(0)  # it waits
        slow.end(2)
        await slow.until_begun(4)
        assert b"other" in slow.begun[2:4]
        slow.end(100)
        answers = [(await one)[0]["status"] for one in guesses]
        assert answers == [401] * 18
        return int((await scrape)[0]["status"])

    assert listener.run(story()) == 200


def test_sources_take_turns(listener: Listener) -> None:
    """Of several sources each has a check before one of them has its second."""
    slow = Slow(listener)

    async def story() -> None:
        sources = ["192.0.2.1"] * 7 + ["192.0.2.2"] * 3 + ["192.0.2.3"] * 2
        asked = [
            asyncio.create_task(listener.get(guess(number), source))
            for number, source in enumerate(sources)
        ]
        for ended in range(len(sources)):
            await slow.until_begun(min(ended + 2, len(sources)))
            slow.end()
        await asyncio.gather(*asked)
        order = [sources[int(password[-4:])][-1] for password in slow.begun]
        assert sorted(order[:2]) == ["1", "1"]
        assert "".join(order[2:]) == "1231231211"

    listener.run(story())


def test_who_was_right_before_has_every_second_turn(listener: Listener) -> None:
    """A source that showed right credentials waits for one stranger at most, not for all."""

    async def story() -> None:
        await listener.get(basic("bob", "other"), "198.51.100.7")
        slow = Slow(listener)
        asked = [
            asyncio.create_task(listener.get(guess(number), f"192.0.2.{number}"))
            for number in range(12)
        ]
        await slow.until_begun(2)
        asked.append(asyncio.create_task(listener.get(basic("bob", "newer"), "198.51.100.7")))
        await asyncio.sleep(0)
        slow.end(2)
        await slow.until_begun(4)
        assert b"newer" in slow.begun[2:4]
        slow.end(100)
        await asyncio.gather(*asked)

    listener.run(story())


@pytest.mark.parametrize(
    ("first", "second"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2"), ("::ffff:192.0.2.1", "192.0.2.1")],
)
def test_at_most_sixteen_wait(first: str, second: str, listener: Listener) -> None:
    """Beyond 16 that wait a source gets 503 and not 401, known users and unknown ones alike."""
    slow = Slow(listener)

    async def story() -> None:
        asked = [
            asyncio.create_task(listener.get(guess(number), (first, second)[number % 2]))
            for number in range(18)
        ]
        await slow.until_begun(2)
        for user in ("alice", "nobody"):
            answer = await listener.get(basic(user, "one more"), first)
            assert answer[0]["status"] == 503
            assert (b"retry-after", b"1") in answer[0]["headers"]
        slow.end(100)
        assert [(await one)[0]["status"] for one in asked] == [401] * 18
        assert (await listener.get(basic("alice", "secret"), first))[0]["status"] == 200

    listener.run(story())


def test_who_is_remembered_does_not_wait(listener: Listener) -> None:
    """Credentials that were right come in at once, however full it is."""

    async def story() -> None:
        await listener.get(basic("alice", "secret"))
        slow = Slow(listener)
        asked = [asyncio.create_task(listener.get(guess(number))) for number in range(18)]
        await slow.until_begun(2)
        assert (await listener.get(basic("alice", "secret")))[0]["status"] == 200
        slow.end(100)
        await asyncio.gather(*asked)

    listener.run(story())


def test_work_for_who_has_gone_is_dropped(listener: Listener) -> None:
    """A client that hangs up while it waits is neither checked nor answered, and leaves room."""
    slow = Slow(listener)

    async def story() -> None:
        gone = asyncio.Event()
        begun = [asyncio.create_task(listener.get(guess(number))) for number in range(2)]
        await slow.until_begun(2)
        waiting = [
            asyncio.create_task(listener.get(guess(number), gone=gone)) for number in range(2, 18)
        ]
        await asyncio.sleep(0)
        gone.set()
        assert [await one for one in waiting] == [[]] * 16
        again = asyncio.create_task(listener.get(basic("alice", "secret")))
        await asyncio.sleep(0)
        slow.end(3)
        await slow.until_begun(3)
        assert slow.begun[2] == b"secret"
        assert [(await one)[0]["status"] for one in (*begun, again)] == [401, 401, 200]
        # Nobody who left holds one of the two slots.
        both = [asyncio.create_task(listener.get(guess(number))) for number in (100, 101)]
        await slow.until_begun(5)
        slow.end(2)
        await asyncio.gather(*both)

    listener.run(story())


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


def guess_and_hang_up(address: str, guesses: int) -> None:
    """Send wrong passwords on a connection each, all at once, and wait for no answer."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for number in range(guesses):
            client = stack.enter_context(socket.create_connection((host, int(port))))
            head = f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: {guess(number)}\r\n\r\n"
            client.sendall(head.encode())


def processor_seconds(process: int) -> float:
    """The processor time that a program has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_guesses_do_not_keep_the_first_scrape_waiting(
    exporter: StartExporter, tmp_path: Path
) -> None:
    """Right after a start, amid guesses by clients that hang up, another address is answered.

    It waits for a few checks, not for all of them, however long one takes on a busy machine.
    """
    guesses = 400
    stored = hashed(b"secret", 10)
    began = time.process_time()
    for _ in range(5):
        bcrypt.checkpw(b"guess", stored)
    one_check = (time.process_time() - began) / 5
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{prometheus: {stored.decode()}}}")
    running = exporter(f"--web.config.file={file}")
    host, _, port = running.ops_address.rpartition(":")
    used = processor_seconds(running.process.pid)
    guess_and_hang_up(running.ops_address, guesses)
    client = http.client.HTTPConnection(host, int(port), 120, source_address=("127.0.0.2", 0))
    with contextlib.closing(client):
        client.request("GET", "/metrics", headers={"Authorization": basic("prometheus", "secret")})
        assert client.getresponse().status == 200
    used = processor_seconds(running.process.pid) - used
    assert used < guesses / 2 * one_check


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
