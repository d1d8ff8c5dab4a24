"""HTTP Basic credentials."""

import base64
import hmac
import logging
import os
from pathlib import Path

import pytest

from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.webhook import credentials
from bandwidth_voice_exporter.webhook.credentials import Credentials, CredentialsError


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

    def credentials(self, *fixed: str) -> Credentials:
        """Credentials that follow the file, and fixed ones beside."""
        return Credentials(fixed, self.file, Log("auth-test"), self.loads.append, lambda: self.now)

    def write(self, text: str | bytes) -> None:
        """Change the file, and let a look at it be due."""
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.now += 1


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
    assert credentials.read_credentials(world.file) == expected


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
        credentials.read_credentials(world.file)
    assert str(error.value) == f"{world.file}: {said}"


def test_absent_file(tmp_path: Path) -> None:
    """A file that is not there is refused with the reason."""
    with pytest.raises(CredentialsError, match="No such file or directory"):
        credentials.read_credentials(tmp_path / "nowhere")


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
    """Those of the environment and each of the file are accepted at once."""
    world.write("alice:first\nalice:second\n")
    credentials = world.credentials("env:var")
    for pair in ("alice:first", "alice:second", "env:var"):
        assert credentials.accept(header(pair))
    assert not credentials.accept(header("alice:third"))


@pytest.mark.parametrize(
    "pair", ["u0:p0", "u1:p1", "u2:p2", "u0:p2", "nobody:x", ""], ids=lambda pair: pair or "none"
)
def test_every_digest_is_compared(pair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is given, each of the credentials is compared with it, in constant time."""
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
    """A changed file is followed: what is new in it is accepted, what is gone is not."""
    credentials = world.credentials()
    world.write("alice:first\nalice:second\n")
    assert credentials.accept(header("alice:second"))
    world.write("alice:second\n")
    assert not credentials.accept(header("alice:first"))
    assert world.loads == [True, True]
    world.now += 1
    assert credentials.accept(header("alice:second"))
    assert world.loads == [True, True]  # the file stayed as it was


def test_rotation_by_rename(world: World) -> None:
    """A file that another of its size and age took the place of is followed."""
    credentials = world.credentials()
    new = world.file.with_name("new")
    new.write_text("alice:third\n")
    times = world.file.stat()
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
    new.rename(world.file)
    world.now += 1
    assert credentials.accept(header("alice:third"))


def test_file_is_not_read_for_every_request(world: World) -> None:
    """The file is looked at once a second at most."""
    credentials = world.credentials()
    world.write("alice:second\n")
    world.now -= 0.01
    assert not credentials.accept(header("alice:second"))
    world.now += 0.01
    assert credentials.accept(header("alice:second"))


def test_unchanged_file_is_not_loaded_again(world: World) -> None:
    """A file that did not change is not loaded again."""
    credentials = world.credentials()
    world.now += 100
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
        world.now += 1
    else:
        world.write(content)
    with caplog.at_level(logging.ERROR):
        assert credentials.accept(header("alice:first"))
    assert world.loads == [False]
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "secret" not in str(vars(record))
    world.write("alice:second\n")
    assert credentials.accept(header("alice:second"))
    assert world.loads == [False, True]


def test_fixed_credentials_outlive_the_file(world: World) -> None:
    """Credentials of the environment stay whatever the file says."""
    credentials = world.credentials("env:var")
    world.write("alice:second\n")
    assert credentials.accept(header("env:var"))


def test_start_without_a_usable_file(world: World) -> None:
    """There is no start with a file that cannot be used."""
    world.write("")
    with pytest.raises(CredentialsError):
        world.credentials()
