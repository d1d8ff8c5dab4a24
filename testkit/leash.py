"""Run a program that the kernel kills when the process that started it is gone.

A program of its own, because code between fork and exec (`preexec_fn`) is not safe beside threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program in the arguments; the first one is the id of the parent process."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it was gone before we asked to be told
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - there is no shell to want here


if __name__ == "__main__":
    main()
