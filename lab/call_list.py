"""A list of calls as Bandwidth has it, of those that simulate makes, to try reconciliation with.

It answers until Ctrl-C, prints the exporter's flags for it, and each request that comes.
"""

import argparse
import time
from collections import deque
from pathlib import Path

from testkit import call_list
from testkit.call_list import CallList


def main() -> None:
    """Answer, and print what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=Path, help="the file of simulate --calls-file")
    parser.add_argument(
        "--faults",
        default="",
        help="what befalls the next requests: 401, 403, 429, 500, half, again, twice, reset, "
        "silent, elsewhere, password, unreadable, with commas",
    )
    parser.add_argument("--retry-after", default="0", metavar="SECONDS", help="said with a 429")
    options = parser.parse_args()
    faults = deque(filter(None, options.faults.split(",")))
    with CallList(
        faults=faults, retry_after=options.retry_after, calls_file=options.calls
    ) as listed:
        print(*listed.flags, call_list.credentials(options.calls.resolve().parent), flush=True)
        shown = 0
        try:
            while True:
                time.sleep(0.2)
                for request in listed.handler.requests[shown:]:
                    shown += 1
                    print(request.method, request.target, flush=True)
        except KeyboardInterrupt:
            print(f"{len(listed.calls)} calls were listed")


if __name__ == "__main__":
    main()
