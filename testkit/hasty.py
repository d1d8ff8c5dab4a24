"""The exporter in haste, at a clock that is set from outside.

Run as a program: `hasty.py CLOCK SURE`, then the exporter's own arguments. The file CLOCK has the
seconds that its clock is ahead, none where it is not there; after SURE seconds a clock is held for
right, and a reader that stays is noticed at once.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bandwidth_voice_exporter import cli
from bandwidth_voice_exporter.ledger import durable, upkeep


def ahead(place: Path) -> Callable[[], int]:
    """Return a clock in nanoseconds that is ahead by what a file says."""
    right = time.time_ns

    def wrong() -> int:
        return right() + int(place.read_text() if place.exists() else "0") * 10**9

    return wrong


if __name__ == "__main__":
    time.time_ns = ahead(Path(sys.argv[1]))
    durable._SURE_SECONDS = float(sys.argv[2])  # noqa: SLF001  # what is hurried here
    upkeep._HELD_SECONDS = 0.0  # noqa: SLF001  # as above
    durable._UPKEEP_SECONDS = 0.05  # noqa: SLF001  # as above
    sys.exit(cli.main(sys.argv[3:], os.environ))
