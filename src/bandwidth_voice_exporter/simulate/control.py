"""Incidents that a running simulation is told of, by lines of a named pipe or standard input."""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from msgspec import structs

from bandwidth_voice_exporter import output
from bandwidth_voice_exporter.simulate.incident import Incident, parse_incident

_STDIN = Path("-")
_CALM = "calm"
_LONGEST = 4096  # bytes of a line


class ControlError(Exception):
    """The file cannot tell of anything; the message says why."""


class Control:
    """Adds to ``incidents`` and cuts them short; ``position`` is the simulated time in seconds."""

    def __init__(
        self, incidents: list[Incident], position: Callable[[], float], out: TextIO
    ) -> None:
        self._incidents = incidents
        self._position = position
        self._out = out
        self._rest = b""

    def hear(self, data: bytes) -> None:
        """Obey the lines that are whole with these bytes; say what is wrong with one."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LONGEST]  # what is longer is no incident, and refused as a whole line
        for line in lines:
            if text := line.decode(errors="replace").strip():
                self._obey(text)

    def _obey(self, text: str) -> None:
        position = self._position()
        if text == _CALM:
            for index, one in enumerate(self._incidents):
                lasts = max(0.0, min(one.lasts, position - one.after))
                self._incidents[index] = structs.replace(one, lasts=lasts)
            self._say("calm: no incident any more")
            return
        try:
            told = parse_incident(text, after="0s")
        except ValueError as error:
            self._say(f"control: {error}; a line is an incident's pairs, or {_CALM}")
            return
        self._incidents.append(structs.replace(told, after=position + told.after))
        when = f" in {told.after:g} s" if told.after else ""
        self._say(f"incident{when}: {told.share:.0%} {told.cause} for {told.lasts:g} s")

    def _say(self, text: str) -> None:
        output.say(self._out, f"{text}\n")


@contextmanager
def obeying(control: Control, file: Path | None) -> Iterator[None]:
    """Have a file's lines obeyed meanwhile, if there is one. Raises ControlError."""
    if file is None:
        yield
        return
    loop = asyncio.get_running_loop()
    number = _opened(file)

    def read() -> None:
        try:
            data = os.read(number, _LONGEST)
        except BlockingIOError:
            return
        if data:
            control.hear(data)
        else:
            loop.remove_reader(number)

    try:
        loop.add_reader(number, read)
        yield
        loop.remove_reader(number)
    finally:
        os.close(number)


def _opened(file: Path) -> int:
    """Return what is read from: a pipe or a terminal, or there is no waiting for more of it."""
    try:
        # A pipe that is open for writing too has no end when a writer closes it.
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
        number = os.dup(0) if file == _STDIN else os.open(file, flags)
    except OSError as error:
        raise ControlError(f"--control: {error}") from None
    mode = os.fstat(number).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number):
        return number
    os.close(number)
    raise ControlError(f"--control {file}: neither a named pipe (mkfifo makes one) nor a terminal")
