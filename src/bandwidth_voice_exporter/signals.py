"""What the process does when it is sent a signal."""

import asyncio
import os
import signal
from collections.abc import Callable

# A shell may pass the signal on before its terminal is closed.
_CLOSING_SECONDS = 0.5


def attend(stop: Callable[[], object], read_again: Callable[[], object]) -> None:
    """Stop on SIGTERM and SIGINT, read files again on SIGHUP; SIGUSR1 and SIGUSR2 do nothing.

    Where the terminal that it was started from is closed, SIGHUP stops too. One that is ignored, as
    under nohup, stays so.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return
    if not _has_terminal():
        loop.add_signal_handler(signal.SIGHUP, read_again)
        return

    def decide() -> None:
        (read_again if _has_terminal() else stop)()

    loop.add_signal_handler(signal.SIGHUP, loop.call_later, _CLOSING_SECONDS, decide)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
