"""Which settings of reconciliation go together, and what is said of those that do not."""

import asyncio
import sys
from pathlib import Path

import pytest

from bandwidth_voice_exporter import extras
from bandwidth_voice_exporter.ledger import FILE as FILENAME
from bandwidth_voice_exporter.ledger import Fingerprints
from bandwidth_voice_exporter.ledger.reader import LocalReader
from bandwidth_voice_exporter.reconcile import report, secret
from bandwidth_voice_exporter.settings import Settings, SettingsError, resolve
from bandwidth_voice_exporter.voice import Pseudonyms, now

ACCOUNT = {"reconcile.account": "9900001"}
FILE = {"reconcile.credentials-file": "/nowhere"}


def problem(flags: dict[str, str]) -> str:
    """Return the message about settings that cannot be used."""
    with pytest.raises(SettingsError) as error:
        extras.check(resolve(flags, {}, {}))
    return str(error.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (ACCOUNT, "--reconcile.credentials-file"),
        (FILE, "--reconcile.account"),
        ({"reconcile.record": "true"}, "--reconcile.account"),
        ({"reconcile.interval": "5m"}, "--reconcile.account"),
        ({**ACCOUNT, **FILE, "storage.path": ""}, "--storage.path"),
        ({**ACCOUNT, **FILE}, "/nowhere: No such file"),
        ({**ACCOUNT, **FILE, "reconcile.interval": "0s"}, "--reconcile.interval"),
        ({**ACCOUNT, **FILE, "reconcile.settle": "7d"}, "--reconcile.settle"),
        ({"reconcile.account": "99/../1"}, "account"),
        ({"reconcile.api-url": "http://voice.example.com"}, "https"),
        ({"reconcile.token-url": "http://voice.example.com"}, "https"),
        ({"reconcile.token-url": "https://id:secret@a.example.com"}, "credentials-file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together(flags: dict[str, str], said: str) -> None:
    """The message about an unusable setting names it and repeats no secret."""
    message = problem(flags)
    assert said in message
    assert "reconcile" in message
    assert "id:secret" not in message


@pytest.mark.parametrize(
    "text", ["", "a:", ":b", "a: ", "a:b\nc:d", "# a:b\n", "a:b\x07", '{"id": "a:b"}']
)
def test_unusable_credentials(tmp_path: Path, text: str) -> None:
    """The file has one line of an id and a secret, or it is refused without quoting it."""
    file = tmp_path / "client"
    file.write_text(text)
    file.chmod(0o600)
    message = problem({**ACCOUNT, "reconcile.credentials-file": str(file)})
    assert message.startswith(f"--reconcile.credentials-file {file}: ")
    assert "a:b" not in message


@pytest.mark.parametrize("text", ["a:b", "a:b\n\n", "a:b\r\n", " a: b \n", "# c\na:b"])
def test_usable_credentials(tmp_path: Path, text: str) -> None:
    """Lines' ends, and spaces, are no part of the secret, however the file was written."""
    file = tmp_path / "client"
    file.write_text(text, newline="")
    file.chmod(0o600)
    assert secret.read(file) == ("a", "b")


@pytest.mark.parametrize(("mode", "is_fine"), [(0o600, True), (0o440, True), (0o604, False)])
def test_who_may_read_the_secret(tmp_path: Path, mode: int, *, is_fine: bool) -> None:
    """A file that anybody may read is refused; a group may, as where a cluster mounts it."""
    file = tmp_path / "client"
    file.write_text("id:secret\n")
    file.chmod(mode)
    flags = {**ACCOUNT, "reconcile.credentials-file": str(file)}
    if is_fine:
        extras.check(resolve(flags, {}, {}))
    else:
        assert "chmod 600" in problem(flags)


def usable(directory: Path, **flags: str) -> Settings:
    """Settings that an account can be asked with."""
    file = directory / "client"
    file.write_text("id:secret\n")
    file.chmod(0o600)
    return resolve({**ACCOUNT, "reconcile.credentials-file": str(file), **flags}, {}, {})


@pytest.mark.parametrize("seconds", [0, 900, 7 * 86400 + 1])
def test_how_far_back_it_can_be_asked_by_hand(tmp_path: Path, seconds: float) -> None:
    """A time in which nothing, or not all, can be listed is refused before anybody is asked."""
    reader = LocalReader(tmp_path / FILENAME, Fingerprints())
    asked = report(
        usable(tmp_path), seconds, reader=reader, pseudonyms=Pseudonyms(b"key"), clock=now
    )
    with pytest.raises(SettingsError, match="--since"):
        asyncio.run(asked)


def test_a_ledger_that_cannot_be_looked_into(tmp_path: Path) -> None:
    """A ledger that cannot be opened gives an error that says what to do."""
    settings = usable(tmp_path, **{"storage.path": str(tmp_path / ("x" * 300))})
    with pytest.raises(extras.CannotCompareError, match="as the exporter's user"):
        extras.report(settings, 3600)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the client library it says how to install it."""
    monkeypatch.setitem(sys.modules, "bandwidth_voice_exporter.reconcile", None)
    monkeypatch.delattr("bandwidth_voice_exporter.reconcile", raising=False)
    assert "pip install 'bandwidth-voice-exporter[reconcile]'" in problem({**ACCOUNT, **FILE})
