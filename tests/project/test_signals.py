"""The running program obeys the signals that are meant for it, and survives others."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bcrypt
import pytest

from testkit.calls import ended_call
from testkit.exporter import Exporter

pytestmark = pytest.mark.program

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"
AUTHORIZATION = {"Authorization": "Basic dTpw"}  # u:p

# Tests may run under nohup: what becomes of SIGHUP is said before the program starts.
PROGRAM = """
import os, signal
signal.signal(signal.SIGHUP, signal.{hangup})
if {terminal!r}:
    os.open({terminal!r}, os.O_RDWR)  # a session without a terminal takes it for its own
from bandwidth_voice_exporter.__main__ import run
{first}
run()
"""
# Sent while the program is still being loaded.
EARLY = """
import sys

class Loading:
    def find_spec(self, name, path, target=None):
        if name == "bandwidth_voice_exporter.cli":
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
                os.kill(os.getpid(), number)

sys.meta_path.insert(0, Loading())
"""


def start(
    directory: Path, *, terminal: str = "", hangup: str = "SIG_DFL", first: str = ""
) -> Exporter:
    """An exporter with files to follow, with a terminal of its own or without."""
    directory.mkdir(parents=True, exist_ok=True)
    credentials, config = directory / "credentials", directory / "web.yml"
    credentials.write_text("u:p\n")
    config.write_text("")
    code = PROGRAM.format(terminal=terminal, hangup=hangup, first=first)
    return Exporter(
        directory,
        f"--webhook.credentials-file={credentials}",
        f"--web.config.file={config}",
        program=(sys.executable, "-c", code),
    )


def wait_for(exporter: Exporter, message: str, **fields: object) -> None:
    """Wait for a line of the log with these fields."""
    wanted = {"msg": message, **fields}.items()
    exporter.wait_for_line(lambda line: wanted <= line.items(), message)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One without a terminal, as a service is."""
    with start(tmp_path_factory.mktemp("alone")) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A terminal: the end that is a person's screen and keyboard, and the name of the other."""
    screen, line = os.openpty()
    name = os.ttyname(line)
    os.close(line)
    yield screen, name
    with suppress(OSError):
        os.close(screen)


def test_hangup_reads_the_files_again(alone: Exporter) -> None:
    """Without a terminal, SIGHUP alone has both files read, and what is wrong with them told."""
    directory = alone.process.stderr.parent
    (directory / "credentials").write_text("u:p\nv:q\n")
    (directory / "web.yml").write_text(USERS)
    alone.process.send_signal(signal.SIGHUP)
    wait_for(alone, "credentials loaded", credentials=2)
    wait_for(alone, "web configuration loaded", listener="ops")
    (directory / "credentials").unlink()
    alone.process.send_signal(signal.SIGHUP)
    wait_for(alone, "credentials file not usable, the old ones stay")
    assert alone.send(ended_call(random.Random(1)), AUTHORIZATION).status == 204


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=lambda one: one.name)
def test_other_signals_do_nothing(alone: Exporter, number: signal.Signals) -> None:
    """A signal that means something to other programs does not end this one."""
    alone.process.send_signal(number)
    assert alone.send(ended_call(random.Random(number)), AUTHORIZATION).status == 204


def test_signals_during_the_start(tmp_path: Path) -> None:
    """Signals during the start do not end the program, which obeys SIGHUP once it runs."""
    with start(tmp_path, first=EARLY) as running:
        wait_for(running, "credentials loaded")
        assert running.send(ended_call(random.Random(1)), AUTHORIZATION).status == 204
        assert running.stop() == 0


def test_a_terminal_that_closes_ends_it_in_order(terminal: tuple[int, str], tmp_path: Path) -> None:
    """SIGHUP has files read while its terminal is there, and ends the program once that closes."""
    screen, name = terminal
    with start(tmp_path, terminal=name) as running:
        running.process.send_signal(signal.SIGHUP)
        wait_for(running, "credentials loaded")
        os.close(screen)
        assert running.process.wait() == 0
        wait_for(running, "stopped")


def test_nohup_is_respected(terminal: tuple[int, str], tmp_path: Path) -> None:
    """A program that was started with SIGHUP ignored outlives its terminal."""
    screen, name = terminal
    with start(tmp_path, terminal=name, hangup="SIG_IGN") as running:
        os.close(screen)
        running.process.send_signal(signal.SIGHUP)
        assert running.send(ended_call(random.Random(1)), AUTHORIZATION).status == 204
        assert running.stop() == 0
