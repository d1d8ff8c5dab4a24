"""Standard output and error: nothing waits for their readers, and nothing ends with them."""

import argparse
import contextlib
import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from typing import NoReturn, Self, TextIO

STDOUT, STDERR = 1, 2

_MOST_WAITING = 4096  # texts, a line of the log each
_LAST_WORDS = 1.0  # seconds


class Output:
    """A file descriptor that a thread writes to, for a program that cannot wait for its reader.

    A pipe that nobody empties or a stopped terminal blocks the thread alone. A text
    that does not fit then, or cannot be written, is dropped. Once writing works again, that thread
    calls ``on_loss`` with the number of dropped texts.
    """

    def __init__(self, descriptor: int, on_loss: Callable[[int], object] = lambda _: None) -> None:
        self._descriptor = descriptor
        self._on_loss = on_loss
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._unfit = self._failed = self._told = 0
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all is written, but not for ever."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_LAST_WORDS)
        self._thread.join(_LAST_WORDS)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            self._waiting.put_nowait(text.encode(errors="backslashreplace"))
        except queue.Full:
            self._unfit += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: it is written as soon as it can be."""

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            try:
                self._write(text)
            except OSError:
                self._failed += 1
                continue
            if lost := self._unfit + self._failed - self._told:
                self._told += lost
                self._on_loss(lost)

    def _write(self, text: bytes) -> None:
        while text:
            try:
                text = text[os.write(self._descriptor, text) :]
            except BlockingIOError:  # another process that shares the descriptor wants it so
                select.select((), (self._descriptor,), ())


def say(stream: TextIO, text: str) -> None:
    """Write a text at once, where it can be written."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        _silence(stream)


class Parser(argparse.ArgumentParser):
    """Refuses arguments with status 2 though nobody can read why.

    The argparse of Python 3.11.2 ends with 1 where standard error is full.
    """

    def error(self, message: str) -> NoReturn:
        """Say how it is used, and what is wrong; end the program."""
        say(sys.stderr, f"{self.format_usage()}{self.prog}: error: {message}\n")
        sys.exit(2)


def open_closed() -> None:
    """Open the standard streams that are closed: a socket or the ledger would take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _opened(STDOUT)
    sys.stderr = sys.stderr or _opened(STDERR)


def _opened(descriptor: int) -> TextIO:
    return open(descriptor, "w", closefd=False)


def settle() -> None:
    """Flush the standard streams; a failure must not change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        say(stream, "")


def _silence(stream: TextIO) -> None:
    # Its buffer would be written again at the end, in vain, and change the exit status to 120.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
