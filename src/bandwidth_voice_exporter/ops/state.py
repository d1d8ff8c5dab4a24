"""How far the process is."""

from collections.abc import Callable, Sequence

import msgspec

from bandwidth_voice_exporter.ledger import Replica
from bandwidth_voice_exporter.metrics import Tally
from bandwidth_voice_exporter.ops.firing import Firing
from bandwidth_voice_exporter.ops.history import History


class State(msgspec.Struct):
    """How far the process is: without a tally it does not know its totals yet."""

    tally: Tally | None = None
    history: History | None = None
    is_healthy: Callable[[], bool] = lambda: True
    takes_events: bool = False
    replicas: Callable[[], Sequence[Replica]] = tuple
    firing: Firing | None = None
    is_stopping: bool = False

    def is_ready(self) -> bool:
        """Whether it counts events."""
        return self.takes_events and not self.is_stopping
