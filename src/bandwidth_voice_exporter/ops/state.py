"""How far the process is."""

from collections.abc import Callable

import msgspec

from bandwidth_voice_exporter.metrics import Tally
from bandwidth_voice_exporter.ops.history import History


class State(msgspec.Struct):
    """How far the process is: without a tally it is still loading."""

    tally: Tally | None = None
    history: History | None = None
    is_healthy: Callable[[], bool] = lambda: True
    is_stopping: bool = False

    def is_ready(self) -> bool:
        """Whether it counts events."""
        return self.tally is not None and not self.is_stopping
