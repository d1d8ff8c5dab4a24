"""Where the ledger is when nobody says it."""

from pathlib import Path

import pytest

from bandwidth_voice_exporter.settings.resolve import SettingsError, resolve
from bandwidth_voice_exporter.settings.state import place
from testkit.exporter import MODULE, Exporter, StartExporter

EVENT = {"eventType": "disconnect", "callId": "c-1", "direction": "inbound", "cause": "busy"}
NAME = "bandwidth-voice-exporter"
UNSET = ("env", "-u", "BANDWIDTH_VOICE_EXPORTER_STORAGE_PATH", *MODULE)


@pytest.fixture(autouse=True)
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    directory = tmp_path / "working"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "XDG_STATE_HOME": "/s"}, "/var/lib/x"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/home/x"}, f"/s/{NAME}"),
        ({"XDG_STATE_HOME": "not/absolute", "HOME": "/home/x"}, f"/home/x/.local/state/{NAME}"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/x"}, f"/home/x/.local/state/{NAME}"),
    ],
)
def test_it_is_where_the_system_keeps_state(environ: dict[str, str], path: str) -> None:
    """systemd's directory comes before the user's, which the XDG specification names."""
    settings = resolve({}, environ, {})
    assert (settings.storage_path, settings.storage_notice) == (Path(path), "")


def test_what_is_set_comes_first(working: Path) -> None:
    """A path that is set is taken, nothing for memory too, whatever is in the working directory."""
    (working / "data").mkdir()
    (working / "data" / "ledger.sqlite3").touch()
    for path in ("", "there"):
        settings = resolve({"storage.path": path}, {"STATE_DIRECTORY": "/s"}, {})
        assert settings.storage_path == (Path(path) if path else None)
        assert settings.storage_notice == ""


def test_a_directory_without_a_ledger_is_nobodys(working: Path) -> None:
    """A directory named data that has no ledger is not taken for an earlier version's."""
    (working / "data").touch()
    assert place({"STATE_DIRECTORY": "/s"}).path == Path("/s")


def test_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home is told which variables are looked at."""

    def nobody(_: type[Path]) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", classmethod(nobody))
    with pytest.raises(SettingsError, match=r"--storage\.path: .*XDG_STATE_HOME"):
        resolve({}, {}, {})


@pytest.mark.program
def test_a_new_ledger_is_private(exporter: StartExporter, tmp_path: Path) -> None:
    """The first start makes the directory for its user alone, and leaves the working one empty."""
    running = exporter(program=UNSET)
    assert running.send(EVENT).status == 204
    home = running.process.stderr.parent
    state = home / ".local" / "state" / NAME
    assert (state / "ledger.sqlite3").exists()
    assert state.stat().st_mode & 0o777 == 0o700
    assert not (home / "data").exists()
    assert tmp_path in home.parents


@pytest.mark.program
def test_an_upgrade_does_not_begin_at_zero(exporter: StartExporter) -> None:
    """A ledger that an earlier version left in the working directory goes on, with a warning."""
    before = exporter()
    assert before.send(EVENT).status == 204
    assert before.stop() == 0
    after = exporter(program=UNSET)
    assert counted(after) == 1
    line = after.wait_for_line(
        lambda line: line["msg"] == "ledger where earlier versions had it", "warning"
    )
    assert str(after.process.stderr.parent / "data") in line["reason"]


def counted(running: Exporter) -> float:
    """How many calls were counted."""
    return sum(
        value
        for (name, _), value in running.metrics().items()
        if name == "bandwidth_voice_calls_total"
    )
