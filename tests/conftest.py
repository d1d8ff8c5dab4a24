"""Fixtures that start the real programs, and the rule for tests that need a Prometheus."""

import itertools
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from testkit import programs
from testkit import prometheus as prom
from testkit.exporter import MODULE, Exporter, StartExporter
from testkit.postgres import Postgres

# Fixtures that start programs.
_STARTING = frozenset(("exporter", "postgres", "prometheus"))
_IN_CI = os.environ.get("CI") == "true"

# No deadline: how long one example takes on a busy machine says nothing about the code.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("fast", settings.get_profile("local"), max_examples=20)
settings.load_profile("ci" if _IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Longer rounds, and only quick tests."""
    parser.addoption("--soak", action="store_true", help="200 rounds where there are a few")
    parser.addoption("--fast", action="store_true", help="only tests that start no program")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples, and let Ctrl-C reach programs; the rest is the plugins'.

    In the background of a script SIGINT is ignored, and so it would be by all that tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(_AtOnce(config))
    config.pluginmanager.register(_Marked())
    if config.getoption("--fast"):
        settings.load_profile("fast")


class _AtOnce:
    """Print each failure when it happens, so that a run that is ended from outside has told it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Only where there is a terminal: not in a worker, which sends its reports on."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line("")
            terminal.write_line(f"{report.nodeid} failed in its {report.when}:", red=True)
            terminal.write_line(report.longreprtext)


class _Marked:
    """A test that starts a program fails where it lacks the mark, by which --fast leaves it out."""

    def __init__(self) -> None:
        self._is_marked = True
        sys.addaudithook(self._heard)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Look from here on."""
        self._is_marked = _starts_a_program(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Look no more: what other tests share may end now."""
        self._is_marked = True

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and not self._is_marked:
            pytest.fail(f"mark this test with `program`: it starts {args[0]}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files of long tests first; with --soak, no time limit; with --fast, none with programs.

    A long test that begins last keeps one worker busy while the others have nothing left.
    """
    if config.getoption("--soak"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
    if config.getoption("--fast"):
        config.hook.pytest_deselected(items=list(filter(_starts_a_program, items)))
        items[:] = itertools.filterfalse(_starts_a_program, items)
    longest: dict[Path, int] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0), _length(item))
    items.sort(key=lambda item: -longest[item.path])


def _length(item: pytest.Item) -> int:
    """2 with a Prometheus, which is waited for; 1 with another program."""
    return 2 if item.get_closest_marker("prometheus") else int(_starts_a_program(item))


def _starts_a_program(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    marks = ("program", "prometheus", "needs")
    return not _STARTING.isdisjoint(fixtures) or any(map(item.get_closest_marker, marks))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without the programs that a test needs it does not run; in CI that is a failure."""
    needed = [program for marker in item.iter_markers("needs") for program in marker.args]
    if "postgres" in getattr(item, "fixturenames", ()):
        needed += ["postgres", "initdb"]
    if item.get_closest_marker("prometheus"):
        needed += ["prometheus", "promtool"]
    if reason := programs.missing(*needed):
        (pytest.fail if _IN_CI else pytest.skip)(f"did not run: {reason}")


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[StartExporter]:
    """Start exporters; the same name again continues in the same directory, with the same data."""
    with ExitStack() as stack:
        started: list[Exporter] = []

        def start(
            *args: str,
            name: str = "exporter",
            env: Mapping[str, str] | None = None,
            program: Sequence[str] = MODULE,
        ) -> Exporter:
            directory = tmp_path / name
            one = stack.enter_context(Exporter(directory, *args, env=env, program=program))
            started.append(one)
            return one

        yield start
        for one in started:
            assert "Traceback" not in one.process.output(), one.process.tail()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of a worker: each makes a database of its own in it."""
    with Postgres() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> str:
    """The URL of a database of the test's own."""
    return postgres.url(postgres.database())


@pytest.fixture
def patient_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no replica take a busy machine for a database that is away."""
    monkeypatch.setattr("bandwidth_voice_exporter.ledger.postgres.shared._PATIENCE", 60.0)


@pytest.fixture
def prometheus(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[prom.StartPrometheus]:
    """Start Prometheus servers; only for tests marked `prometheus`."""
    assert request.node.get_closest_marker("prometheus"), "mark this test with `prometheus`"
    with ExitStack() as stack:

        def start(
            *jobs: prom.Job, name: str = "prometheus", flags: Sequence[str] = ()
        ) -> prom.Prometheus:
            return stack.enter_context(prom.Prometheus(tmp_path / name, *jobs, flags=flags))

        yield start
