"""A program with a timer in its event loop, which writes how late the timer was.

`python -m lab.speed.ticking FILE [ARGUMENT ...]`: the exporter with these arguments, or, without
any, a process that does nothing else. Until SIGTERM it writes a line a second to the file: when the
second ended, by the machine's monotonic clock, and the most milliseconds that a tick was late.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from bandwidth_voice_exporter import cli

_EVERY = 0.005  # seconds between two ticks


def ticking(make: Callable[[], asyncio.AbstractEventLoop], file: Path) -> asyncio.AbstractEventLoop:
    """Return a loop that a timer runs in for as long as it does."""
    loop = make()
    output = file.open("w", buffering=1)
    worst, ends = 0.0, time.monotonic() + 1

    def tick(due: float) -> None:
        nonlocal worst, ends
        now = time.monotonic()
        worst = max(worst, now - due)
        if now >= ends:
            output.write(f"{now} {worst * 1000}\n")
            worst, ends = 0.0, now + 1
        loop.call_later(_EVERY, tick, now + _EVERY)

    loop.call_soon(tick, time.monotonic())
    return loop


def main() -> int:
    """Run the exporter, or nothing."""
    file, arguments = Path(sys.argv[1]), sys.argv[2:]
    make = uvloop.new_event_loop
    if arguments:
        uvloop.new_event_loop = lambda: ticking(make, file)  # type: ignore[assignment,return-value]
        return cli.main(arguments, os.environ)
    loop = ticking(make, file)
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.run_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
