"""The exporter as a replica whose lease is short, and that saves its share far more often.

Run as a program: `quick_replica.py LEASE`, then the exporter's own arguments.
"""

import os
import sys

from bandwidth_voice_exporter import cli
from bandwidth_voice_exporter.ledger import replica
from bandwidth_voice_exporter.ledger.postgres import keeper, lock, shared

if __name__ == "__main__":
    lease = float(sys.argv[1])
    for module in (replica, lock, shared):
        module.LEASE = lease  # type: ignore[attr-defined]  # what is hurried here
    keeper._BEAT_SECONDS = lease / 10  # noqa: SLF001  # as above
    keeper._CHECKPOINT_SECONDS = 0.3  # noqa: SLF001  # as above
    shared._PATIENCE = 60.0  # noqa: SLF001  # a busy machine is not a database that is away
    shared._LOOK_SECONDS = 0.1  # noqa: SLF001  # as above
    sys.exit(cli.main(sys.argv[2:], os.environ))
