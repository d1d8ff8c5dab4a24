"""HTTP Basic credentials."""

import asyncio
import base64
import hmac
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from uvicorn.server import ServerState

from bandwidth_voice_exporter.http import Clients, Looks, Terms, Watch, reading
from bandwidth_voice_exporter.http.connection import Connection
from bandwidth_voice_exporter.http.room import Room
from bandwidth_voice_exporter.ledger.memory import MemoryLedger
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments, Limits, Tally
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms
from bandwidth_voice_exporter.webhook import Intake, Webhook
from bandwidth_voice_exporter.webhook.credentials import (
    Credentials,
    CredentialsError,
    read_credentials,
)
from testkit.exporter import StartExporter


def header(pair: str, scheme: str = "Basic") -> bytes:
    """The Authorization header of user:password."""
    return f"{scheme} ".encode() + base64.b64encode(pair.encode())


class World:
    """A credentials file, a clock, and what was said about loading."""

    def __init__(self, file: Path) -> None:
        """The clock stands still until a test moves it."""
        self.file = file
        self.now = 1000.0
        self.loads: list[bool] = []

    def read(self, looks: Looks) -> tuple[str, ...]:
        """Read the credentials in the file."""
        return read_credentials(self.file, looks)

    def credentials(self, *fixed: str) -> Credentials:
        """Credentials that follow the file, and fixed ones beside."""
        watch = Watch(reading(self.read), self.read, lambda: self.now)
        return Credentials(fixed, watch, Log("auth-test"), self.loads.append, lambda: self.now)

    def write(self, text: str | bytes) -> None:
        """Change the file in its place."""
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def replace(self, text: str) -> None:
        """Move another file, which was written a second ago, to its place."""
        new = self.file.with_name("new")
        new.write_text(text)
        os.utime(new, (new.stat().st_atime, new.stat().st_mtime - 1))
        new.rename(self.file)

    def pass_by(self, credentials: Credentials, seconds: float) -> None:
        """Let time pass, with looks at the file as often as they come."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            credentials.look()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A credentials file with one pair."""
    file = tmp_path / "credentials"
    file.write_text("alice:first\n")
    return World(file)


def fixed(*pairs: str) -> Credentials:
    """Credentials without a file."""
    return Credentials(pairs, None, Log("auth-test"), lambda _: None)


HASH = "this is the hash of a password, and the password itself is wanted"
CONTROL = "there is a control character in it"
JSON = "looks like JSON: each line is of the form user:password, without quotes"
YAML = "looks like YAML: each line is of the form user:password, without space and quotes"
INDENTED = "is indented: a comment begins with its #, a pair with its user"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:b", ("a:b",)),
        ("a:$ecret$\nb:$2\nc:{b}\n", ("a:$ecret$", "b:$2", "c:{b}")),
        ("a:b \u2028c \n", ("a:b \u2028c ",)),
        ("# rotation\n\na:b\r\nc:d:e\n  \n", ("a:b", "c:d:e")),
        ("a:b # c", ("a:b # c",)),
        ("é:ü", ("é:ü",)),
        ("\ufeffa:b\n", ("a:b",)),
    ],
    ids=[
        "one",
        "no hash, no JSON",
        "no end of line",
        "several",
        "no comment behind",
        "utf-8",
        "byte order mark",
    ],
)
def test_files(text: str, expected: tuple[str, ...], world: World) -> None:
    """A file has one user:password a line; blank lines, comments, a byte order mark are none."""
    world.write(text)
    assert world.read(Looks()) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there are no credentials in it"),
        (b"# a:b\n", "there are no credentials in it"),
        (b"a:b\nsecret\n", "line 2 is not of the form user:password"),
        (b":secret", "line 1 is not of the form user:password"),
        (b"secret:", "line 1 is not of the form user:password"),
        (b"a:secret\xff", "not UTF-8"),
        (b"a:b\nsecret:$2b$10$019QzHbR3zIPAyj8Fnzdm.", f"line 2 cannot be used: {HASH}"),
        (b"a:$2y$05$secret", f"line 1 cannot be used: {HASH}"),
        (b"a:$apr1$secret$lZL6V/ci0yyXFYOaLu7QZ1", f"line 1 cannot be used: {HASH}"),
        (b"a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", f"line 1 cannot be used: {HASH}"),
        (b'{"a":"secret"}', f"line 1 {JSON}"),
        (b'{\n"a": "secret"\n}', f"line 1 {JSON}"),
        (b'"a":"secret"', f"line 1 {JSON}"),
        (b'["a:secret"]', f"line 1 {JSON}"),
        (b'a:b\nc: "secret"', f"line 2 {YAML}"),
        (b"a: secret", f"line 1 {YAML}"),
        (b"a:b\n  # old:secret", f"line 2 {INDENTED}"),
        (b"\t#old:secret\na:b", f"line 1 {INDENTED}"),
        (b" a:secret", f"line 1 {INDENTED}"),
        (b"a:sec\tret", f"line 1 cannot be used: {CONTROL}"),
        (b"a\x07:secret", f"line 1 cannot be used: {CONTROL}"),
        (b"a:secret\0", f"line 1 cannot be used: {CONTROL}"),
        ("a:sec\x85ret".encode(), f"line 1 cannot be used: {CONTROL}"),
    ],
)
def test_unusable_files(content: bytes, said: str, world: World) -> None:
    """A file that cannot be used is refused with its path and the place, never with a password."""
    world.write(content)
    with pytest.raises(CredentialsError) as error:
        world.read(Looks())
    assert str(error.value) == f"{world.file}: {said}"


def test_absent_file(tmp_path: Path) -> None:
    """A file that is not there is refused with the reason."""
    with pytest.raises(CredentialsError, match="No such file or directory"):
        read_credentials(tmp_path / "nowhere", Looks())


@pytest.mark.parametrize(
    "given",
    [
        header("user:pass:word"),
        header("user:pass:word", "basic"),
        header("user:pass:word", "BASIC"),
        header("user:pass:word", "Basic  "),
        header("user:pass:word") + b" ",
    ],
)
def test_right_credentials(given: bytes) -> None:
    """Right credentials are accepted, whatever the case of the scheme and the spaces around."""
    assert fixed("user:pass:word").accept(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        b"",
        b"Basic",
        b"Basic ",
        header("user:passwort"),
        header("users:password"),
        header("user:passwor"),
        header("user:password "),
        header("user:"),
        header(":password"),
        header("user"),
        header("userpassword"),
        header(""),
        header("user:password", "Bearer"),
        header("user:password").replace(b"Basic ", b""),
        header("user:password")[:-1],
        header("user:password").replace(b"=", b""),
        header("user:password") + b"!",
        header("user:password").replace(b"Basic ", b"Basic dXNl "),
        b"Basic user:password",
        b"Basic \xff\xfe",
        b"\xff",
    ],
)
def test_wrong_credentials(given: bytes | None) -> None:
    """Anything else is not accepted, and is no error either."""
    assert not fixed("user:password").accept(given)


def test_url_safe_base64_is_not_basic() -> None:
    """The alphabet for URLs is another one."""
    pair = "user:\u00ff\u00ff\u00fb\u00ef\u00be"
    given = header(pair)
    assert fixed(pair).accept(given)
    other = given.replace(b"+", b"-").replace(b"/", b"_")
    assert other != given
    assert not fixed(pair).accept(other)


def test_passwords_of_other_scripts() -> None:
    """Credentials are UTF-8."""
    assert fixed("jürgen:пароль").accept(header("jürgen:пароль"))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("pair", ["jürgen:geheim", "user:naïve:ñandú", "user:£ÿ"])
def test_letters_in_either_encoding(pair: str, encoding: str) -> None:
    """Letters that Latin-1 has are accepted as UTF-8 and as Latin-1, and no others for them."""
    credentials = fixed(pair)
    assert credentials.accept(b"Basic " + base64.b64encode(pair.encode(encoding)))
    other = pair.replace("ü", "ú").replace("ï", "î").replace("ÿ", "ý")
    assert not credentials.accept(b"Basic " + base64.b64encode(other.encode(encoding)))


def test_several_credentials(world: World) -> None:
    """The environment's credentials and every pair in the file are accepted side by side."""
    world.write("alice:first\nalice:second\n")
    credentials = world.credentials("env:var")
    for pair in ("alice:first", "alice:second", "env:var"):
        assert credentials.accept(header(pair))
    assert not credentials.accept(header("alice:third"))


@pytest.mark.parametrize(
    "pair", ["u0:p0", "u1:p1", "u2:p2", "u0:p2", "nobody:x", ""], ids=lambda pair: pair or "none"
)
def test_every_digest_is_compared(pair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header, or its absence, is compared with every pair of credentials in constant time."""
    credentials = fixed("u0:p0", "u1:p1", "u2:p2")
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def spy(given: bytes, expected: bytes) -> bool:
        compared.append((len(given), len(expected)))
        return compare(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    credentials.accept(header(pair) if pair else None)
    assert compared == [(32, 32)] * 3


def test_rotation(world: World) -> None:
    """A changed file is followed: what is new in it is accepted, and what is gone not for long."""
    credentials = world.credentials()
    world.write("alice:first\nalice:second\n")
    world.pass_by(credentials, 2)
    assert credentials.accept(header("alice:second"))
    world.write("alice:second\n")
    world.pass_by(credentials, 2)
    assert credentials.accept(header("alice:first"))
    world.pass_by(credentials, 10)
    assert not credentials.accept(header("alice:first"))
    assert credentials.accept(header("alice:second"))
    assert world.loads == [True, True]  # once for each change


def test_what_is_gone_is_accepted_for_ten_seconds(world: World) -> None:
    """Requests are on their way with the old credentials when the new ones are taken."""
    credentials = world.credentials()
    world.replace("alice:second\n")
    credentials.look()
    taken = world.now
    while world.now < taken + 10:
        assert credentials.accept(header("alice:first")), world.now - taken
        assert credentials.accept(header("alice:second"))
        world.pass_by(credentials, 0.5)
    assert not credentials.accept(header("alice:first"))


def test_a_file_written_in_two_steps(world: World) -> None:
    """Half a file is not taken for a whole one: its short password opens nothing."""
    credentials = world.credentials()
    for _ in range(20):
        world.write("alice:fir")
        world.pass_by(credentials, 0.5)
        assert credentials.accept(header("alice:first"))
        assert not credentials.accept(header("alice:fir"))
        world.write("alice:first\n")
        world.pass_by(credentials, 0.5)
        assert credentials.accept(header("alice:first"))
        assert not credentials.accept(header("alice:fir"))
    assert world.loads == []


def test_a_file_that_is_written_to_must_stand_for_a_second(world: World) -> None:
    """However long somebody writes, the file is taken a second after the last change."""
    credentials = world.credentials()
    for number in range(10):
        world.write("alice:second\n" + number * "#")
        world.pass_by(credentials, 0.5)
        assert not credentials.accept(header("alice:second"))
    world.pass_by(credentials, 1)
    assert credentials.accept(header("alice:second"))


def test_rotation_by_rename(world: World) -> None:
    """A file that another of its size and age took the place of is followed at once."""
    credentials = world.credentials()
    new = world.file.with_name("new")
    new.write_text("alice:third\n")
    times = world.file.stat()
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
    new.rename(world.file)
    credentials.look()
    assert credentials.accept(header("alice:third"))


def test_a_new_file_written_in_two_steps(world: World) -> None:
    """Half of a file that is made anew in another's place is not taken for a whole one."""
    credentials = world.credentials()
    world.file.rename(world.file.with_name("old"))
    for text in ("alice:sec", "alice:seco", "alice:second\n"):
        world.write(text)
        world.pass_by(credentials, 0.5)
        assert credentials.accept(header("alice:first"))
        assert not credentials.accept(header("alice:sec"))
    world.pass_by(credentials, 1)
    assert credentials.accept(header("alice:second"))
    assert not credentials.accept(header("alice:sec"))
    assert world.loads == [True]


def test_a_new_file_that_is_not_whole_yet(world: World) -> None:
    """A file that takes another's place empty, and is written then, is no mistake."""
    credentials = world.credentials()
    world.replace("")
    credentials.look()
    assert world.loads == []
    world.write("alice:second\n")
    world.pass_by(credentials, 2)
    assert credentials.accept(header("alice:second"))
    assert world.loads == [True]


def test_a_change_before_the_first_look(world: World) -> None:
    """A change between the reading at the start and the first look is not missed."""
    first = reading(world.read)
    world.replace("alice:second\n")
    watch = Watch(first, world.read, lambda: world.now)
    credentials = Credentials((), watch, Log("auth-test"), world.loads.append, lambda: world.now)
    credentials.look()
    assert credentials.accept(header("alice:second"))


def test_requests_do_not_look_at_the_file(world: World) -> None:
    """Only the clock's looks find a change, however many requests there are."""
    credentials = world.credentials()
    world.replace("alice:second\n")
    for _ in range(10):
        world.now += 1
        assert not credentials.accept(header("alice:second"))
    credentials.look()
    assert credentials.accept(header("alice:second"))


def test_reading_again_takes_the_file_as_it_is(world: World) -> None:
    """read_again() reads the file at once, whether or not it has changed."""
    credentials = world.credentials()
    credentials.read_again()
    world.write("alice:second\n")
    credentials.read_again()
    assert credentials.accept(header("alice:second"))
    world.pass_by(credentials, 20)
    assert world.loads == [True, True]


def test_unchanged_file_is_not_loaded_again(world: World) -> None:
    """A file that did not change is not loaded again."""
    credentials = world.credentials()
    world.pass_by(credentials, 100)
    assert credentials.accept(header("alice:first"))
    assert world.loads == []


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff", None], ids=ascii)
def test_broken_file_keeps_the_old_ones(
    content: bytes | None, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that broke or went keeps the last good credentials, says so, and recovers."""
    credentials = world.credentials()
    if content is None:
        world.file.unlink()
    else:
        world.write(content)
    with caplog.at_level(logging.ERROR):
        world.pass_by(credentials, 20)
    assert credentials.accept(header("alice:first"))
    assert world.loads == [False]
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "secret" not in str(vars(record))
    world.write("alice:second\n")
    world.pass_by(credentials, 2)
    assert credentials.accept(header("alice:second"))
    assert world.loads == [False, True]


def test_fixed_credentials_outlive_the_file(world: World) -> None:
    """Credentials of the environment stay whatever the file says."""
    credentials = world.credentials("env:var")
    world.write("alice:second\n")
    world.pass_by(credentials, 20)
    assert credentials.accept(header("env:var"))


def test_start_without_a_usable_file(world: World) -> None:
    """There is no start with a file that cannot be used."""
    world.write("")
    with pytest.raises(CredentialsError):
        world.credentials()


@pytest.mark.program
def test_the_program_follows_the_file(exporter: StartExporter, tmp_path: Path) -> None:
    """A rotation is taken by the clock, though no request asks for it."""
    file = tmp_path / "credentials"
    file.write_text("alice:first\n")
    running = exporter(f"--webhook.credentials-file={file}")
    new = file.with_name("new")
    new.write_text("alice:second\n")
    new.replace(file)
    running.wait_for_line(lambda line: line["msg"] == "credentials loaded", "the new ones")
    for pair, status in (("alice:second", 400), ("alice:sec", 401)):
        answer = running.send_bytes(b"{", {"Authorization": header(pair).decode()})
        assert answer.status == status, pair


class Client(asyncio.Transport):
    """A client that takes the statuses of its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []

    def write(self, data: Any) -> None:
        self.statuses.append(int(data.split()[1]))

    def is_closing(self) -> bool:
        return False


def test_a_head_that_is_known_is_asked_for_its_credentials(world: World) -> None:
    """Credentials that are gone are refused though the head that they come in is remembered."""
    credentials = world.credentials()
    head = b"GET /?eventType=answer HTTP/1.1\r\nAuthorization: %b\r\n\r\n" % header("alice:first")

    async def conversation() -> list[int]:
        tally = Tally(Limits(), 0)
        webhook = Webhook(
            intake=Intake(MemoryLedger(tally.fold, tally), Pseudonyms(b"key")),
            instruments=Instruments(),
            credentials=credentials,
            max_body_bytes=99,
            proxies=(),
            clients=Clients(()),
            log=Log("auth-test"),
        )
        room = Room(webhook, Terms(9, 1, lambda *_: None), ServerState())
        connection, client = Connection(room), Client()
        connection.connection_made(client)
        for seconds in (0, 0, 2, 11):
            world.pass_by(credentials, seconds)
            connection.take(head)
            for _ in range(20):
                await asyncio.sleep(0)
            world.write("alice:second\n")
        assert room.heads.find(head)
        return client.statuses

    assert asyncio.run(conversation()) == [204, 204, 204, 401]
