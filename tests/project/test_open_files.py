"""How many connections there are where few files may be open."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bandwidth_voice_exporter.open_files import OpenFiles, OpenFilesError, share
from testkit.calls import ended_call
from testkit.certificates import dial
from testkit.exporter import MODULE, Exporter, environment
from testkit.process import Process

FITTING = "28 of 4096 connections (--webhook.max-connections) fit into the 135 open files"


def limited(files: int) -> tuple[str, ...]:
    """The program where no more files may be open."""
    return ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *MODULE)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One with default settings where few files may be open."""
    directory = tmp_path_factory.mktemp("narrow")
    with Exporter(directory, program=limited(135)) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


@pytest.mark.parametrize(
    ("webhook", "allowed", "expected"),
    [
        (4096, 8192, (4096, 300, 200)),
        (4096, 4696, (4096, 300, 200)),
        (4096, 4096, (3496, 300, 200)),
        (4096, 1024, (740, 111, 73)),
        (700, 1024, (700, 135, 89)),
        (300, 1024, (300, 300, 200)),
        (4096, 120, (16, 3, 1)),
    ],
)
def test_files_are_shared(webhook: int, allowed: int, expected: tuple[int, int, int]) -> None:
    """Connections and what else needs a file fit together; a notice says so where some do not."""
    shared = share(webhook, allowed)
    assert (shared.webhook, shared.ops, shared.overflow) == expected
    assert webhook + 600 <= allowed or sum(expected) + 100 == allowed
    assert bool(shared.notice) == (shared.webhook < webhook)


def test_what_is_passed_on_takes_two_files() -> None:
    """Where each request may go on to a handler, half as many connections fit."""
    assert share(4096, 8692 + 100, 2) == OpenFiles(4096, 300, 200)
    narrow = share(4096, 1024, 2)
    assert (narrow.webhook, narrow.ops, narrow.overflow) == (370, 111, 73)
    assert narrow.notice


def test_a_notice_has_both_numbers() -> None:
    """A notice names the connections that were set, those that fit, and the open files allowed."""
    assert isinstance(share(4096, 135), OpenFiles)
    assert share(4096, 135).notice.startswith(FITTING)


def test_too_few_files_are_an_error() -> None:
    """Where next to nothing could come in, it says how many files it needs."""
    with pytest.raises(OpenFilesError, match=r"allows 119 open files .* at least 120"):
        share(4096, 119)


@pytest.mark.program
def test_it_starts_with_what_fits(narrow: Exporter) -> None:
    """With few files it takes events all the same, on more connections than there is room for."""
    with ExitStack() as stack:
        for address in [narrow.webhook_address] * 40 + [narrow.ops_address] * 20:
            stack.enter_context(dial(address))
        assert narrow.send(ended_call(random.Random(1))).status == 204


@pytest.mark.program
def test_the_log_and_the_page_say_what_fits(narrow: Exporter) -> None:
    """The log has a warning, the status page a notice."""
    wanted = {"level": "warning", "msg": "fewer connections than set"}.items()
    line = narrow.wait_for_line(lambda line: wanted <= line.items(), "the warning")
    assert str(line["reason"]).startswith(FITTING)
    assert FITTING in narrow.ops.request("GET", "/").text


@pytest.mark.program
@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        (135, 0, f"the settings are valid, but {FITTING}"),
        (110, 1, "valid, but does not start here: the system allows 110 open"),
    ],
)
def test_the_check_says_what_fits(files: int, code: int, said: str, tmp_path: Path) -> None:
    """--check-config tells the same as a start."""
    anywhere = ("--webhook.listen-address=localhost:0", "--web.listen-address=localhost:0")
    command = [*limited(files), *anywhere, "--check-config"]
    with Process(command, tmp_path, environment(tmp_path)) as process:
        assert process.wait() == code
        assert process.output().startswith(f"bandwidth-voice-exporter: {said}")
