"""The catalog, the fold of calls into it, and how it is exposed; knows no disk."""

from bandwidth_voice_exporter.metrics import catalog, checkpoint, exposition
from bandwidth_voice_exporter.metrics.instruments import (
    COUNTED,
    COUNTERS,
    DUPLICATE,
    IGNORED,
    KINDS,
    PASSED,
    UNAUTHENTICATED,
    ForwardInstruments,
    Instruments,
    Kind,
    LedgerInstruments,
    ReconcileInstruments,
)
from bandwidth_voice_exporter.metrics.minutes import MINUTE
from bandwidth_voice_exporter.metrics.render import Lines
from bandwidth_voice_exporter.metrics.snapshot import Snapshot, snapshot_of
from bandwidth_voice_exporter.metrics.tally import Limits, Tally

__all__ = [
    "COUNTED",
    "COUNTERS",
    "DUPLICATE",
    "IGNORED",
    "KINDS",
    "MINUTE",
    "PASSED",
    "UNAUTHENTICATED",
    "ForwardInstruments",
    "Instruments",
    "Kind",
    "LedgerInstruments",
    "Limits",
    "Lines",
    "ReconcileInstruments",
    "Snapshot",
    "Tally",
    "catalog",
    "checkpoint",
    "exposition",
    "snapshot_of",
]
