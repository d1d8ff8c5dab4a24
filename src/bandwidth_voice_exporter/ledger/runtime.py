"""The process that a ledger works in."""

import msgspec

from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.voice import Clock


class Runtime(msgspec.Struct, frozen=True):
    """Its clock, and what it is observed by."""

    clock: Clock
    instruments: Instruments
    log: Log
