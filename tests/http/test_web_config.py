"""The web configuration file: what it may say, and what is said of mistakes in it."""

from pathlib import Path

import pytest

from bandwidth_voice_exporter import cli
from bandwidth_voice_exporter.http.watch import Looks
from bandwidth_voice_exporter.http.web_config import (
    REQUIRE_AND_VERIFY,
    TLS13,
    TlsConfig,
    WebConfig,
    WebConfigError,
    parse,
    read,
)
from testkit.certificates import Authority

CHECK = (
    "--check-config",
    "--webhook.listen-address=localhost:0",
    "--web.listen-address=localhost:0",
)

HERE = Path(__file__).parent / "web_config"
GOOD = sorted(HERE.glob("*.good.yml"))
BAD = sorted(HERE.glob("*.bad.yml"))
HASH = b"$2y$04$VqpA0u/Zid.9g.A7ypnhEuHceemQH5GLwCtIYhxYCbwnnJyKk2112"
TLS = TlsConfig(HERE / "server.crt", HERE / "server.key")

EXPECTED = {
    "client_certificates": WebConfig(
        TlsConfig(
            HERE / "server.crt",
            HERE / "server.key",
            HERE / "../clients.crt",
            REQUIRE_AND_VERIFY,
            TLS13,
        )
    ),
    "comment": WebConfig(),
    "empty": WebConfig(),
    "nulls": WebConfig(TLS),
    "tls": WebConfig(TlsConfig(HERE / "server.crt", Path("/keys/server.key"))),
    "users": WebConfig(users={b"alice": HASH, b"no": HASH, b"007": HASH}),
}


def name(file: Path) -> str:
    """The part of a file's name that says what the file is an example of."""
    return file.name.partition(".")[0]


def problem(file: Path) -> str:
    """Return the error message for a file that cannot be used."""
    with pytest.raises(WebConfigError) as error:
        read(file, Looks())
    return str(error.value)


@pytest.mark.parametrize("file", GOOD, ids=name)
def test_good_files(file: Path) -> None:
    """A good file says what is expected of it, with paths relative to its directory."""
    assert read(file, Looks()) == EXPECTED[name(file)]


@pytest.mark.parametrize("file", BAD, ids=name)
def test_bad_files(file: Path) -> None:
    """A bad file is refused by its name, with what its first line says and no hash."""
    expected = file.read_text().splitlines()[0].removeprefix("# ")
    said = problem(file)
    assert said.startswith(f"{file}: {expected}")
    assert "\n" not in said
    assert HASH[7:].decode() not in said


def test_not_utf8(tmp_path: Path) -> None:
    """A file that is not text is refused by its name."""
    file = tmp_path / "web.yml"
    file.write_bytes(b"\xff")
    assert problem(file) == f"{file}: not UTF-8"


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is refused by its name."""
    assert problem(tmp_path / "web.yml") == f"{tmp_path / 'web.yml'}: No such file or directory"


def test_endless_nesting() -> None:
    """A text that nests deeper than can be followed is refused as any other mistake is."""
    with pytest.raises(WebConfigError):
        parse("[" * 1_000, HERE)


@pytest.mark.parametrize("flag", ["web.config.file", "webhook.config.file"])
def test_check_config_takes_good_files(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config is content with a file whose certificate can be used."""
    Authority().issue(tmp_path)
    file = tmp_path / "web.yml"
    file.write_text((HERE / "nulls.good.yml").read_text())
    assert cli.main([*CHECK, f"--{flag}={file}"], {}) == 0
    assert "valid" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["web.config.file", "webhook.config.file"])
@pytest.mark.parametrize(
    ("example", "said"),
    [
        ("unknown_key.bad.yml", "the nearest one is cert_file"),
        ("nulls.good.yml", f"{HERE / 'server.crt'}: No such file or directory"),
        ("nowhere.yml", "nowhere.yml: No such file or directory"),
    ],
)
def test_check_config_refuses_bad_files(
    flag: str, example: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config reads either file and what it names, says what is wrong and exits with 2."""
    assert cli.main([*CHECK, f"--{flag}={HERE / example}"], {}) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"bandwidth-voice-exporter: {HERE / example}: ")
    assert error.endswith(f"{said}\n")


def test_no_users_for_the_webhook_listener(capsys: pytest.CaptureFixture[str]) -> None:
    """basic_auth_users in the webhook listener's file is refused, with where credentials go."""
    file = HERE / "users.good.yml"
    assert cli.main([*CHECK, f"--webhook.config.file={file}"], {}) == 2
    assert "--webhook.credentials-file" in capsys.readouterr().err
    assert cli.main([*CHECK, f"--web.config.file={file}"], {}) == 0
