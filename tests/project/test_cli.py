"""The command line."""

import platform
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bandwidth_voice_exporter import cli, logs, server, version
from bandwidth_voice_exporter.settings.options import OPTIONS, Option
from bandwidth_voice_exporter.settings.resolve import Settings
from testkit.exporter import MODULE, environment
from testkit.process import Process

A = "93de2206-9669-4e07-948d-329f4b722ee2"
B = "550e8400-e29b-41d4-a716-446655440000"
PROGRAM = "bandwidth-voice-exporter"

ANYWHERE = ("--webhook.listen-address=localhost:0", "--web.listen-address=localhost:0")

BY_FLAG = {option.flag: option for option in OPTIONS}
CREDENTIALS = {"WEBHOOK_USERNAME": "voice", "WEBHOOK_PASSWORD": "secret"}

Output = pytest.CaptureFixture[str]
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(capsys: Output) -> Check:
    """Check settings; the exit code, and what was written to the stream that goes with it.

    Others may listen on the default addresses: where it matters not, they are any.
    """

    def run(
        *argv: str, environ: Mapping[str, str] | None = None, listen: Sequence[str] = ANYWHERE
    ) -> tuple[int, str]:
        code = cli.main([*listen, *argv, "--check-config"], environ or {})
        out, err = capsys.readouterr()
        assert not (err if code == 0 else out)
        return code, out or err

    return run


def stdout_of(argv: list[str], capsys: Output) -> str:
    """The standard output of a command line that ends the program with success."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv, {})
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", ["40", "80", "300"])
def test_help_fits_80_columns(
    columns: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Help is readable in 80 columns, whatever the terminal says of itself."""
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, stdout_of(["--help"], capsys).splitlines())) < 80


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_help_has_every_option(option: Option, capsys: Output) -> None:
    """Help shows every option under its group, with its default."""
    text = stdout_of(["-h"], capsys)
    start = text.index(f"\n{option.group}:\n")
    own = text.index(f"\n  --{option.flag}", start)
    assert "\n\n" not in text[start:own]
    if option.default and not option.is_switch:
        assert f"({option.default})" in text[own:].partition("\n  --")[2].partition("\n  --")[0]


@pytest.mark.parametrize(
    "flag", ["--config.file", "--check-config", "--version", "simulate --help"]
)
def test_help_has_what_is_no_setting(flag: str, capsys: Output) -> None:
    """Help shows what is not a setting too."""
    assert flag in stdout_of(["--help"], capsys)


def test_version(capsys: Output) -> None:
    """--version says version, revision, Python and platform in the form of other exporters."""
    first, *others = stdout_of(["--version"], capsys).splitlines()
    revision = version.revision()
    assert first == f"{PROGRAM}, version {version.version()} (revision: {revision})"
    assert [line.split(":")[0].strip() for line in others] == ["python version", "platform"]
    assert platform.python_version() in others[0]
    assert f"{sys.platform}/" in others[1]


def test_good_settings(check: Check) -> None:
    """--check-config says that settings are valid and exits with 0."""
    said = (0, f"{PROGRAM}: the settings are valid\n")
    assert check("--webhook.max-connections=9", environ=CREDENTIALS) == said


@pytest.mark.parametrize(
    ("argv", "environ", "but"),
    [
        ([], {}, "the webhook listener takes events from anybody who reaches it"),
        (
            ["--storage.path="],
            CREDENTIALS,
            "all counts are lost when the exporter ends: there is no storage path",
        ),
        (
            ["--forward.url=http://handler.example.com"],
            CREDENTIALS,
            "credentials go to the handler handler.example.com over plain http",
        ),
    ],
)
def test_settings_to_warn_of(
    argv: list[str], environ: dict[str, str], but: str, check: Check
) -> None:
    """--check-config says what a start would warn of, and exits with 0."""
    assert check(*argv, environ=environ) == (0, f"{PROGRAM}: the settings are valid, but {but}\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--web.listen-address=nope"], "--web.listen-address 'nope': "),
        (["--webhook.path", "x"], "--webhook.path 'x': "),
        (["--webhook.max-body-bytes=64KB"], "--webhook.max-body-bytes '64KB': "),
        (["--labels.application", f"{A}"], f"--labels.application '{A}': "),
        (["--labels.max-applications=-1"], "--labels.max-applications '-1': "),
        (["--metrics.newborn-hold=65"], "--metrics.newborn-hold '65': "),
        (["--log.level=loud"], "--log.level 'loud': not one of debug, info, warning, error"),
        (["--webhook.listen-address=0.0.0.0:1"], "--webhook.listen-address 0.0.0.0:1: without "),
        (["--webhook.credentials-file=/nowhere"], "/nowhere: No such file or directory"),
        (["--webhook.credentials-file=/"], "/: Is a directory"),
        (["--config.file=/nowhere"], "--config.file /nowhere: No such file or directory"),
        (["--config.file=/"], "--config.file /: Is a directory"),
    ],
)
def test_bad_settings(argv: list[str], said: str, check: Check) -> None:
    """--check-config says in one line which flag is at fault and exits with 2."""
    code, text = check(*argv, listen=())
    assert code == 2
    assert text.startswith(f"{PROGRAM}: {said}")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[log]\nlevl = 1", "log.levl in the file: no such key; the nearest one is log.level"),
        (b"[log", "--config.file "),
        (b"[log]\nlevel = {name = 'info'}", "log.level in the file: a table, where one value is "),
        ("[log]".encode("utf-16"), "--config.file {file}: UTF-16 or binary; save it as UTF-8\n"),
        ("[log]".encode("utf-16-le"), "--config.file {file}: UTF-16 or binary; save it as UTF-8\n"),
        (b"[log]\n#\xff", "--config.file {file}: line 2 is not UTF-8\n"),
    ],
)
def test_bad_file(content: bytes, said: str, check: Check, tmp_path: Path) -> None:
    """A file that cannot be used is named, or the key in it that is wrong."""
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    code, text = check("--config.file", str(file))
    assert code == 2
    assert text.startswith(f"{PROGRAM}: {said.format(file=file)}")


def test_bad_credentials_file(check: Check, tmp_path: Path) -> None:
    """A credentials file without credentials is found before the program starts."""
    file = tmp_path / "credentials"
    file.write_text("user:pass\ns3cret\n")
    code, text = check("--webhook.credentials-file", str(file))
    assert (code, text) == (2, f"{PROGRAM}: {file}: line 2 is not of the form user:password\n")


def test_half_a_credential(check: Check) -> None:
    """WEBHOOK_USERNAME without WEBHOOK_PASSWORD is a mistake."""
    code, text = check(environ={"WEBHOOK_USERNAME": "u"})
    assert code == 2
    assert "WEBHOOK_USERNAME and WEBHOOK_PASSWORD go together" in text


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("s3cret\udcff", "not UTF-8"),
        ("s3\ncret", "there is a control character in it"),
        ("$2b$10$s3cret", "this is the hash of a password, and the password itself is wanted"),
    ],
)
def test_credential_that_cannot_be_meant(password: str, said: str, check: Check) -> None:
    """A password that nobody can send is one sentence that names the variable."""
    environ = {"WEBHOOK_USERNAME": "u\n", "WEBHOOK_PASSWORD": password}
    assert check(environ=environ) == (2, f"{PROGRAM}: WEBHOOK_PASSWORD: {said}\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--log.leve=info"], "--log.leve: no such flag; the nearest one is --log.level"),
        (["--nope"], "--nope: no such flag\n"),
        (["--check"], "--check: no such flag; the nearest one is --check-config"),
        (["nope"], "unrecognized argument: nope"),
        (["--log.level"], "--log.level: expected one argument"),
    ],
)
def test_wrong_usage(argv: list[str], said: str, capsys: Output) -> None:
    """A flag that does not exist, abbreviated ones included, exits with 2 and the nearest one."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv, {})
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"usage: {PROGRAM}" in error
    assert said in error


@pytest.mark.parametrize("mark", ["", "\N{BOM}"])
def test_a_file_with_a_byte_order_mark(mark: str, check: Check, tmp_path: Path) -> None:
    """Files as editors on Windows write them are read, each of them."""
    names = ("config.toml", "credentials", "web.yml")
    toml, credentials, web = (tmp_path / name for name in names)
    toml.write_text(
        f"{mark}[webhook]\r\ncredentials-file = '{credentials}'\r\n"
        f"[web]\r\nconfig.file = '{web}'\r\n"
    )
    credentials.write_text(f"{mark}u:p\r\n")
    web.write_text(f"{mark}# nothing yet\r\n")
    code, said = check(f"--config.file={toml}", "--webhook.max-connections=9")
    assert code == 0, said


# For one option of every kind: as a TOML literal, in the environment, as the flag's value.
LAYERS = {
    "webhook.listen-address": ('"127.0.0.1:1"', "127.0.0.1:2", "127.0.0.1:3"),
    "webhook.path": ('"/file"', "/environment", "/flag"),
    "webhook.max-body-bytes": ("1", "2KiB", "3MiB"),
    "web.listen-address": ('"[::1]:1"', ":2", "127.0.0.1:3"),
    "labels.application": (f'"{A}=file"', f"{A}=environment,{B}=b", f"{A}=flag"),
    "labels.max-applications": ("1", "2", "3"),
    "metrics.newborn-hold": ('"1s"', "2m", "3ms"),
    "log.level": ('"debug"', "warning", "error"),
}


class Run:
    """Runs the command line up to where it would serve, and keeps the settings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        """Configuration is written to the file."""
        self._file = file
        self._seen: list[Settings] = []
        monkeypatch.setattr(server, "run", lambda settings, *_: self._seen.append(settings))
        monkeypatch.setattr(logs, "configure", lambda *_: None)

    def __call__(self, argv: list[str], environ: Mapping[str, str], toml: str) -> Settings:
        """The settings that the server gets."""
        self._file.write_text(toml)
        assert cli.main([*argv, f"--config.file={self._file}"], environ) == 0
        return self._seen.pop()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command line without a server."""
    return Run(monkeypatch, tmp_path / "config.toml")


@pytest.mark.parametrize(("flag", "layers"), LAYERS.items(), ids=list(LAYERS))
def test_order(flag: str, layers: tuple[str, str, str], run: Run) -> None:
    """A flag comes before the environment, the environment before the file, that before default."""
    option = BY_FLAG[flag]
    in_file, in_environment, as_flag = layers
    argv, environ, toml = [f"--{flag}", as_flag], {option.variable: in_environment}, ""
    section, _, key = flag.partition(".")
    toml = f"[{section}]\n{key} = {in_file}"

    def value(argv: list[str], environ: Mapping[str, str], toml: str) -> Any:
        return getattr(run(argv, environ, toml), option.field)

    assert value(argv, environ, toml) == value(argv, {}, "") == option.parse(as_flag)
    assert value([], environ, toml) == option.parse(in_environment)
    assert value([], {}, toml) == option.parse(in_file.strip('"'))
    shown = [value([], {}, ""), value([], {}, toml), value([], environ, toml)]
    assert shown[0] not in shown[1:]


@pytest.mark.parametrize("flag", ["no-exemplars", "webhook.allow-unauthenticated"])
def test_order_of_switches(flag: str, run: Run) -> None:
    """A switch that the file turns on is turned off by the environment and on by its flag."""
    option = BY_FLAG[flag]
    section, _, key = flag.rpartition(".")
    toml = f"[{section}]\n{key} = true" if section else f"{key} = true"
    off = {option.variable: "false"}
    assert getattr(run([], {}, ""), option.field) is False
    assert getattr(run([], {}, toml), option.field) is True
    assert getattr(run([], off, toml), option.field) is False
    assert getattr(run([f"--{flag}"], off, toml), option.field) is True


def test_order_of_files(run: Run, tmp_path: Path) -> None:
    """The credentials file too is that of the flag, the environment or the file, in this order."""
    in_file, in_environment, as_flag = (tmp_path / name for name in ("file", "environment", "flag"))
    for path in (in_file, in_environment, as_flag):
        path.write_text("user:password")
    toml = f'[webhook]\ncredentials-file = "{in_file}"'
    environ = {BY_FLAG["webhook.credentials-file"].variable: str(in_environment)}
    argv = [f"--webhook.credentials-file={as_flag}"]
    assert run([], {}, "").webhook_credentials_file is None
    assert run([], {}, toml).webhook_credentials_file == in_file
    assert run([], environ, toml).webhook_credentials_file == in_environment
    assert run(argv, environ, toml).webhook_credentials_file == as_flag


def test_file_of_the_environment(check: Check, tmp_path: Path) -> None:
    """The environment may name the file, and the flag another."""
    bad, good = tmp_path / "bad.toml", tmp_path / "good.toml"
    bad.write_text("nope = 1")
    good.write_text("")
    environ = {"BANDWIDTH_VOICE_EXPORTER_CONFIG_FILE": str(bad)}
    assert check(environ=environ)[0] == 2
    assert check(f"--config.file={good}", environ=environ)[0] == 0


def test_repeated_flag(run: Run) -> None:
    """--labels.application adds up."""
    argv = [f"--labels.application={A}=a", f"--labels.application={B}=b"]
    assert run(argv, {}, "").labels_application == {A: "a", B: "b"}


def test_repeated_address(run: Run) -> None:
    """--web.listen-address may be given several times."""
    argv = ["--web.listen-address=:1", "--web.listen-address=[::1]:2"]
    assert list(map(str, run(argv, {}, "").web_listen_address)) == [":1", "[::1]:2"]


def failed_start(directory: Path, *argv: str) -> str:
    """The output of a program that cannot start, and must therefore end with exit code 1."""
    with Process([*MODULE, *argv], directory, environment(directory)) as process:
        assert process.wait() == 1, process.tail()
        return process.output()


@pytest.mark.program
@pytest.mark.parametrize("flag", ["webhook.listen-address", "web.listen-address"])
def test_port_in_use(flag: str, tmp_path: Path) -> None:
    """A port that another program has ends the start with the flag and the reason."""
    free = {"webhook.listen-address": "127.0.0.1:0", "web.listen-address": "127.0.0.1:0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        argv = [f"--{name}={value}" for name, value in {**free, flag: address}.items()]
        output = failed_start(tmp_path, *argv)
    assert f"{PROGRAM}: --{flag} {address}: Address already in use\n" in output
    assert "Traceback" not in output


@pytest.mark.program
def test_one_address_for_both_listeners(tmp_path: Path) -> None:
    """The same address for both listeners ends the start with a message."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    argv = [f"--webhook.listen-address={address}", f"--web.listen-address={address}"]
    with Process([*MODULE, *argv], tmp_path, environment(tmp_path)) as process:
        assert process.wait() in (1, 2)
        assert "listen-address" in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.program
@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
def test_host_of_another_world(host: str, tmp_path: Path) -> None:
    """A host that is not this machine, or none at all, ends the start with the flag."""
    argv = ["--webhook.listen-address=127.0.0.1:0", f"--web.listen-address={host}:1"]
    output = failed_start(tmp_path, *argv)
    assert f"{PROGRAM}: --web.listen-address {host}:1: " in output
    assert "Traceback" not in output
