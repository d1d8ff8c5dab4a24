"""Fixtures that start the real programs, and the rule for tests that need a Prometheus."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from harness import programs
from harness import prometheus as prom
from harness.exporter import Exporter, StartExporter

_IN_CI = os.environ.get("CI") == "true"

# No deadline: how long one example takes on a busy machine says nothing about the code.
settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if _IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make soak` adds."""
    parser.addoption("--soak", action="store_true", help="as many rounds as `make soak` takes")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without the programs that a test needs it does not run; in CI that is a failure."""
    needed = [program for marker in item.iter_markers("needs") for program in marker.args]
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
            *args: str, name: str = "exporter", env: Mapping[str, str] | None = None
        ) -> Exporter:
            one = stack.enter_context(Exporter(tmp_path / name, *args, env=env))
            started.append(one)
            return one

        yield start
        for one in started:
            assert "Traceback" not in one.process.output(), one.process.tail()


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
