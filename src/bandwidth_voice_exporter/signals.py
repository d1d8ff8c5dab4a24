"""The signals that the process handles."""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loading it takes longer than a signal may take to come
    import asyncio

# A shell may pass the signal on before its terminal is closed.
_CLOSING_SECONDS = 0.5

_IGNORED = (signal.SIGUSR1, signal.SIGUSR2)
_HELD = (signal.SIGHUP, *_IGNORED)  # each ends a process that has no handler for it yet


def hold() -> None:
    """Keep SIGHUP, SIGUSR1 and SIGUSR2 waiting until ``attend`` or ``let``."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def let() -> None:
    """Let the signals that were held, and later ones, take effect."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def attend(
    loop: "asyncio.AbstractEventLoop",
    stop: Callable[[], object],
    read_again: Callable[[], object],
) -> None:
    """Stop on SIGTERM and SIGINT, read files again on SIGHUP; SIGUSR1 and SIGUSR2 do nothing.

    If the terminal that it was started from is closed, SIGHUP stops it too. A signal that is
    ignored, as under nohup, stays so. Held signals take effect now.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _attend_hangup(loop, stop, read_again)
    let()


def _attend_hangup(
    loop: "asyncio.AbstractEventLoop",
    stop: Callable[[], object],
    read_again: Callable[[], object],
) -> None:
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
