"""The program runs, and ends as it should, where nobody takes its output."""

import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from bandwidth_voice_exporter.output import Output
from testkit import waiting
from testkit.calls import ended_call
from testkit.client import Client
from testkit.exporter import MODULE, WEBHOOK_PATH, environment
from testkit.process import Process

# Each makes one descriptor such that writing to it fails, or never comes back.
FAULTS = {
    "closed": "os.close({fd})",
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), {fd})",
    "unread": "r, w = os.pipe(); os.close(r); os.dup2(w, {fd})",
    "stuck": (
        "r, w = os.pipe(); os.set_inheritable(r, True); os.set_blocking(w, False); "
        "n = [os.write(w, bytes(4096)) for _ in range(16)]; os.set_blocking(w, True); "
        "os.dup2(w, {fd})"
    ),
}
MESSAGE = "x" * 1000


def broken(fault: str) -> str:
    """Statements that break standard output and error in the same way."""
    return "\n".join(["import os", *(FAULTS[fault].format(fd=fd) for fd in (1, 2))])


def command(fault: str, *argv: str) -> list[str]:
    """A command whose standard output and error are both broken in the same way."""
    become = f"os.execv({sys.executable!r}, {[*MODULE, *argv]!r})"
    return [sys.executable, "-c", f"{broken(fault)}\n{become}"]


def own_host() -> str:
    """A loopback address of this process's own: it cannot be told through the log."""
    return f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


@pytest.mark.program
@pytest.mark.parametrize("fault", FAULTS)
def test_calls_are_counted_whatever_becomes_of_words(fault: str, tmp_path: Path) -> None:
    """With standard output and error closed, full, hung up or stuck, calls count and it ends well.

    Without credentials it has a welcome to write to the one, and log lines to the other.
    """
    ops, webhook = f"{own_host()}:20060", f"{own_host()}:20061"
    argv = command(fault, f"--webhook.listen-address={webhook}", f"--web.listen-address={ops}")
    body = json.dumps(ended_call(random.Random(1))).encode()
    with Process(argv, tmp_path, environment(tmp_path)) as process:

        def is_ready() -> bool:
            with closing(Client(webhook)) as client:
                try:
                    return client.request("GET", f"{WEBHOOK_PATH}/ready").status == 200
                except OSError:
                    return False

        process.wait_until(is_ready, "ready")
        with closing(Client(webhook)) as client:
            assert client.request("POST", WEBHOOK_PATH, body).status == 204
        with closing(Client(ops)) as client:
            scraped = client.request("GET", "/metrics").text
        assert 'events_total{event_type="disconnect",result="counted"} 1' in scraped
        assert process.stop() == 0


# The program is imported once, and a copy of it run for each command line.
COPIES = """
import os, sys
from bandwidth_voice_exporter import cli
for name, breaking, commands in {cases!r}:
    for command in commands:
        if pid := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print(name, status, *command, flush=True)
        else:
            exec(breaking)
            if name == "closed":  # what Python does at its start
                sys.stdout = sys.stderr = None
            sys.argv[1:] = command
            cli.run()
"""


@pytest.mark.program
def test_the_exit_status_is_that_of_the_settings(tmp_path: Path) -> None:
    """--check-config ends with 0 or 2, --version with 0, though nobody reads why."""
    anywhere = (
        "--check-config --web.listen-address=127.0.0.1:0 --webhook.listen-address=127.0.0.1:0"
    )
    expected = {anywhere: 0, "--check-config --log.level=x": 2}
    others = {"--version": 0, "--nope": 2, "simulate --rate=x": 2}
    # The fault "stuck" is left out: a command that only answers may wait until it is read.
    wanted = {"closed": expected, "unread": expected, "full": expected | others}
    cases = [
        (fault, broken(fault), [text.split() for text in texts]) for fault, texts in wanted.items()
    ]
    script = COPIES.format(cases=cases)
    with Process([sys.executable, "-c", script], tmp_path, environment(tmp_path)) as process:
        assert process.wait(60) == 0, process.tail()
        found = set(process.output().splitlines())
    assert found == {
        f"{fault} {code} {text}" for fault, texts in wanted.items() for text, code in texts.items()
    }


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's reading and writing end."""
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


def test_all_is_written_at_the_end(pipe: tuple[int, int]) -> None:
    """All texts are written, in order, by the time the output is closed."""
    read, write = pipe
    with Output(write) as out:
        for number in range(100):
            out.write(f"{number} é \ud800\n")
    os.close(write)
    with os.fdopen(read, "rb", closefd=False) as reader:
        assert reader.read().decode() == "".join(f"{n} é \\ud800\n" for n in range(100))


def test_what_does_not_fit_is_dropped_and_told(pipe: tuple[int, int]) -> None:
    """Writing never waits; once the reader goes on, it is told how many texts were dropped."""
    read, write = pipe
    os.set_blocking(read, False)
    told: list[int] = []
    received = 0

    def is_read(end: str = "") -> bool:
        nonlocal received
        with suppress(BlockingIOError):  # the writer has not come to it yet
            received += len(os.read(read, 1 << 20))
        return bool(told) and received == (10_000 - sum(told)) * len(MESSAGE) + len(end)

    with Output(write, told.append) as out:
        for _ in range(10_000):
            out.write(MESSAGE)
        waiting.until(is_read, "all that fitted")
        out.write("end")
        waiting.until(partial(is_read, "end"), "a text of after the loss")
    assert sum(told) > 5000


def test_a_reader_that_is_gone_is_no_matter() -> None:
    """Texts for a pipe without a reader are dropped, and the output closes."""
    read, write = os.pipe()
    os.close(read)
    with Output(write) as out:
        out.write(MESSAGE)
    os.close(write)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: tuple[int, int]) -> None:
    """Where another process has set the descriptor so, writing waits for room all the same."""
    read, write = pipe
    os.set_blocking(write, False)
    with Output(write) as out:
        for _ in range(500):
            out.write(MESSAGE)
        received = 0
        while received < 500 * len(MESSAGE):
            received += len(os.read(read, 1 << 20))
