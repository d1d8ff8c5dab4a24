"""Shows the whole: calls, the exporter, Prometheus with rules, an incident, and its alert.

For the rules a day takes 24 minutes here, so that an incident of a minute and a half is one of an
hour and a half. The nine such days that they compare it with are made up first.
"""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from demo.show import Show
from demo.stage import Clock


def main() -> int:
    """Run until Ctrl-C; with --check until the incident's message came and its end."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--check",
        action="store_true",
        help="end by itself: 0 if the right message came and ended",
    )
    parser.add_argument("--began", type=float, default=time.time(), help=argparse.SUPPRESS)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    clock = Clock(options.began)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        try:
            code = Show(stack, folder, clock).run(is_check=options.check)
        except KeyboardInterrupt:
            print()
            code = 0
        except AssertionError as failure:  # a program that did not start, with what it said
            clock.say(*f"failed    {failure}".splitlines())
            code = 1
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        clock.say(f"stopping everything, and removing {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
