"""Whether calls are kept, as the status page has it."""

from collections.abc import Iterator, Sequence

import msgspec

from bandwidth_voice_exporter.ledger import Replica
from bandwidth_voice_exporter.metrics import Instruments, catalog
from bandwidth_voice_exporter.ops import formats
from bandwidth_voice_exporter.ops.kept import Kept


class Durability(msgspec.Struct, frozen=True):
    """The ledger's state; ``kept`` is None if no ledger outlives the process.

    ``replicas`` are all that share it; none if it is this exporter's alone.
    """

    is_up: bool
    kept: Kept | None
    rows: int
    bytes: int
    not_recorded: int
    counted_twice: int = 0
    replicas: Sequence[Replica] = ()

    @property
    def this(self) -> Replica | None:
        """This replica."""
        return next((one for one in self.replicas if one.is_this), None)

    @property
    def others(self) -> list[Replica]:
        """The other replicas, live ones first."""
        return sorted(
            (one for one in self.replicas if not one.is_this), key=lambda one: not one.lives
        )


def durability_of(
    instruments: Instruments, kept: Kept | None, replicas: Sequence[Replica] = ()
) -> Durability:
    """Return where the ledger stands."""
    return Durability(
        is_up=instruments.one(catalog.LEDGER_UP) == 1,
        kept=kept,
        rows=int(instruments.one(catalog.LEDGER_ROWS)),
        bytes=int(instruments.one(catalog.LEDGER_BYTES)),
        not_recorded=int(instruments.one(catalog.LEDGER_NOT_RECORDED)),
        counted_twice=int(instruments.one(catalog.LEDGER_COUNTED_TWICE)),
        replicas=replicas,
    )


def warnings(instruments: Instruments, durability: Durability) -> Iterator[str]:
    """Yield conditions that somebody must act on."""
    if not durability.is_up and durability.replicas:
        yield (
            "Not durable: the shared ledger cannot be reached. Calls are counted, and wait for it. "
            "The log says why, and whether they wait on a disk or in memory."
        )
    elif not durability.is_up:
        yield (
            "Not durable: the ledger cannot be written. Calls are counted in memory, and are lost "
            "if the exporter is killed before the disk works again. The log says why."
        )
    if instruments.one(catalog.LEDGER_WAL_HELD):
        length = formats.size(instruments.one(catalog.LEDGER_WAL_BYTES))
        yield (
            f"The ledger's write-ahead log is {length} long and grows, since a reader of the "
            f"ledger stays (a shell with an open query, a backup): end it, or the disk fills up. "
            f"Calls are recorded meanwhile."
        )
    if instruments.one(catalog.LEDGER_FILESYSTEM_UNKNOWN):
        yield (
            "The ledger is on a kind of file system that is not known to keep it (the log names "
            "it): put --storage.path on a local disk."
        )
    if durability.kept is None:
        yield (
            "In memory only (--storage.path is empty): counters begin at 0 with each start, and "
            "failed calls cannot be looked up."
        )
