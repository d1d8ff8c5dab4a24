"""The simulator as a command."""

import asyncio
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import IO

import uvloop

from bandwidth_voice_exporter import output
from bandwidth_voice_exporter.meanwhile import meanwhile
from bandwidth_voice_exporter.simulate.control import Control, ControlError, obeying
from bandwidth_voice_exporter.simulate.delivery import Courier
from bandwidth_voice_exporter.simulate.incident import Incident
from bandwidth_voice_exporter.simulate.journal import Journal
from bandwidth_voice_exporter.simulate.options import Options, parse_options
from bandwidth_voice_exporter.simulate.progress import Progress
from bandwidth_voice_exporter.simulate.schedule import Planned, schedule
from bandwidth_voice_exporter.simulate.traffic import calls

_SHOWN = """\
bandwidth-voice-exporter simulate: warning: --user: other users of this machine can see the
password in the list of processes; --credentials-file keeps it to a file
"""
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TICK_SECONDS = 0.2


def main(argv: Sequence[str], environ: Mapping[str, str] = MappingProxyType({})) -> int:
    """Run the simulator and return its exit status; a usage error raises SystemExit(2)."""
    options = parse_options(argv, environ)
    if options.shows_password:
        output.say(sys.stderr, _SHOWN)
    try:
        journal = Journal(
            _opened("--log-file", options.log_file), _opened("--calls-file", options.calls_file)
        )
    except _FileError as error:
        output.say(sys.stderr, f"bandwidth-voice-exporter simulate: error: {error}\n")
        return 2
    with journal, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_run(options, journal))
        except ControlError as error:
            output.say(sys.stderr, f"bandwidth-voice-exporter simulate: error: {error}\n")
            return 2


class _FileError(Exception):
    """A file cannot be written; the message names its flag."""


def _opened(flag: str, file: Path | None) -> IO[bytes] | None:
    """Open the file that a flag names, if there is one. Raises _FileError."""
    try:
        return file.open("wb") if file else None
    except OSError as error:
        raise _FileError(f"{flag}: {error}") from None


async def _run(options: Options, journal: Journal) -> int:
    courier = Courier(options.target, journal, connections=options.connections, speed=options.speed)
    progress = Progress(sys.stderr, courier.score, options.traffic.seed)
    incidents = list(options.traffic.incidents)
    control = Control(incidents, lambda: courier.position, sys.stderr)
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, courier.stop)
    try:
        with obeying(control, options.control):
            async with meanwhile(_tick(progress, journal)):
                await courier.run(_deliveries(options, incidents))
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
    progress.finish()
    return 1 if courier.score.failed else 0


async def _tick(progress: Progress, journal: Journal) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        progress.show()
        journal.flush()


def _deliveries(options: Options, incidents: Sequence[Incident]) -> Iterator[Planned]:
    """Return the deliveries until ``--for``, at most ``--events`` of them."""
    ended = islice(calls(options.traffic, incidents), options.events)
    planned = schedule(ended, options.traffic.seed, options.duplicate_share, options.get_share)
    lasts = options.lasts
    return planned if lasts is None else takewhile(lambda delivery: delivery.at < lasts, planned)
