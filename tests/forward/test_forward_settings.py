"""Which settings of forwarding go together, and what is said of those that do not."""

import asyncio
import ssl
import sys
from pathlib import Path

import pytest

from bandwidth_voice_exporter import extras
from bandwidth_voice_exporter.forward.handler import Destination
from bandwidth_voice_exporter.forward.keys import keys_of
from bandwidth_voice_exporter.forward.opening import opened
from bandwidth_voice_exporter.http import UnusableError
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.settings import SettingsError, resolve

URL = {"forward.url": "http://127.0.0.1:8080"}
PUBLIC = {"webhook.listen-address": "0.0.0.0:10061"}


def problem(flags: dict[str, str]) -> str:
    """Return the message about settings that cannot be used."""
    with pytest.raises((SettingsError, UnusableError)) as error:
        extras.check(resolve(flags, {}, {}))
    return str(error.value)


def test_handlers_by_path() -> None:
    """The URL is for the webhook's path, beside the routes; the file has them as a table."""
    file = {"forward": {"route": {"/voice/": "https://handler.example.com/v", "/b": "http://b"}}}
    settings = resolve(URL, {}, file)
    assert settings.handlers == {
        "/webhooks/voice": "http://127.0.0.1:8080",
        "/voice/": "https://handler.example.com/v",
        "/b": "http://b",
    }
    assert resolve({"forward.route": "/a=http://a,/b=http://b"}, {}, {}).handlers == {
        "/a": "http://a",
        "/b": "http://b",
    }


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({**URL, **PUBLIC}, "forwarding off loopback needs --webhook.credentials-file"),
        ({**URL, **PUBLIC, "webhook.allow-unauthenticated": "true"}, "--webhook.credentials-file"),
        ({"forward.url": "ftp://a"}, "http://HOST"),
        ({"forward.url": "http://"}, "http://HOST"),
        ({"forward.url": "http://a:b"}, "http://HOST"),
        ({"forward.url": "http://a/?b"}, "query"),
        ({"forward.url": "http://a/é"}, "escape"),
        ({"forward.url": "http://user:secret@a/"}, "--forward.credentials-file"),
        ({"forward.route": "/a"}, "PATH=URL"),
        ({"forward.route": "a=http://b"}, "starts with /"),
        ({"forward.route": "/a=http://b,/a=http://c"}, "twice"),
        ({**URL, "forward.route": "/webhooks/voice=http://b"}, "--forward.url is for it"),
        ({"forward.route": "/webhooks/voice/ready=http://b"}, "ready"),
        ({**URL, "forward.timeout": "25s"}, "--forward.timeout"),
        ({**URL, "forward.timeout": "0s"}, "--forward.timeout"),
        ({**URL, "forward.max-body-bytes": "1KiB"}, "--forward.max-body-bytes"),
        ({**URL, "forward.on-failure": "503"}, "close, 204"),
        ({"forward.ca-file": "/nowhere"}, "--forward.url"),
        ({"forward.credentials-file": "/nowhere"}, "--forward.url"),
        ({"forward.timeout": "5s"}, "--forward.url"),
        ({"forward.max-body-bytes": "2MiB"}, "--forward.url"),
        ({"forward.on-failure": "204"}, "--forward.url"),
        ({**URL, "forward.ca-file": "/nowhere"}, "/nowhere: No such file"),
        ({**URL, "forward.ca-file": __file__}, "no certificates"),
        ({**URL, "forward.credentials-file": "/nowhere"}, "/nowhere: No such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together(flags: dict[str, str], said: str) -> None:
    """The message about an unusable setting names a flag and repeats no password."""
    message = problem(flags)
    assert said in message
    assert "--forward." in message or "--webhook." in message
    assert "secret" not in message


@pytest.mark.parametrize("text", ["", "a:", ":b", "a:b\nc:d", "# a:b\n"])
def test_unusable_credentials(tmp_path: Path, text: str) -> None:
    """The file has one line of a user and a password, or it is refused without quoting it."""
    file = tmp_path / "credentials"
    file.write_text(text)
    message = problem({**URL, "forward.credentials-file": str(file)})
    assert message == f"--forward.credentials-file {file}: not one line user:password"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the client library it says how to install it."""
    monkeypatch.setitem(sys.modules, "bandwidth_voice_exporter.forward", None)
    monkeypatch.delattr("bandwidth_voice_exporter.forward", raising=False)
    assert "pip install 'bandwidth-voice-exporter[forward]'" in problem(URL)


@pytest.mark.parametrize(
    ("url", "has_file", "is_told"),
    [
        ("http://handler.example.com", True, True),
        ("http://handler.example.com", False, False),
        ("https://handler.example.com", True, False),
        ("http://127.0.0.1:8080", True, False),
        ("http://[::1]:8080", True, False),
    ],
)
def test_credentials_over_plain_http(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, url: str, *, has_file: bool, is_told: bool
) -> None:
    """Credentials that leave the machine in the clear are warned of."""
    file = tmp_path / "credentials"
    file.write_text("handler:secret\n")
    flags = {"forward.url": url} | ({"forward.credentials-file": str(file)} if has_file else {})

    async def begin() -> None:
        settings, log = resolve(flags, {}, {}), Log()
        keys = keys_of(settings, log, lambda: bool)
        async with opened(settings, keys, 100, Instruments(), log):
            pass

    asyncio.run(begin())
    assert ("plain http" in caplog.text) == is_told
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("path", "url", "asked", "query", "got"),
    [
        ("/w", "http://h", "/w", "", "http://h/w"),
        ("/w", "http://h:1", "/w", "a=%2B1&b=+|{}", "http://h:1/w?a=%2B1&b=+|{}"),
        ("/w", "http://h/", "/w", "", "http://h/"),
        ("/w", "http://h/x/y", "/w", "q", "http://h/x/y?q"),
        ("/v/", "http://h", "/v/a%2Fb//c", "", "http://h/v/a%2Fb//c"),
        ("/v/", "http://h/x/", "/v/a%2Fb//c", "q", "http://h/x/a%2Fb//c?q"),
    ],
)
def test_where_a_request_goes(path: str, url: str, asked: str, query: str, got: str) -> None:
    """A URL without a path keeps the request's, one with a path replaces the route's."""
    scope = {"raw_path": asked.encode(), "query_string": query.encode()}
    assert str(Destination(path, url).of(scope)) == got


def test_certificates_are_the_systems_unless_named() -> None:
    """Without a CA file the system's certificates are trusted, and names are checked."""
    context = keys_of(resolve(URL, {}, {}), Log(), lambda: bool).certificates.value
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
