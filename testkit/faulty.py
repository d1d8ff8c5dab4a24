"""The exporter, killing itself at a chosen moment of its ledger's life.

Run as a program: `faulty.py PURPOSE:before|after:N ...`, then the exporter's own arguments. It
dies by SIGKILL before or after the Nth commit for that purpose: append, checkpoint, prune, piece,
older or migration. It saves totals and fingerprints, and prunes, far more often than usually.
"""

import os
import signal
import sys

from bandwidth_voice_exporter import cli
from bandwidth_voice_exporter.ledger import durable, fingerprints, pruning
from bandwidth_voice_exporter.ledger.database import Database


def arm(purpose: str, moment: str, nth: int) -> None:
    """Make the nth commit for a purpose deadly."""
    commit = Database._commit  # noqa: SLF001  # what is broken here on purpose
    seen = 0

    def deadly(database: Database, of: str) -> None:
        nonlocal seen
        seen += of == purpose
        is_the_one = of == purpose and seen == nth
        if is_the_one and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(database, of)
        if is_the_one:
            os.kill(os.getpid(), signal.SIGKILL)

    Database._commit = deadly  # type: ignore[method-assign,assignment]  # noqa: SLF001
    durable._CHECKPOINT_ROWS = 100  # noqa: SLF001
    durable._UPKEEP_SECONDS = 0.05  # noqa: SLF001
    fingerprints._SEAL = 60  # noqa: SLF001
    pruning._WALK |= {"failure": 400, "normal": 2}  # noqa: SLF001
    durable._SURE_SECONDS = 0.0  # noqa: SLF001


if __name__ == "__main__":
    of, when, number = sys.argv[1].split(":")
    arm(of, when, int(number))
    sys.exit(cli.main(sys.argv[2:], os.environ))
