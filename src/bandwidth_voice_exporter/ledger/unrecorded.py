"""Calls that were counted while the disk failed, until they are recorded."""

from bandwidth_voice_exporter.ledger.recent import Recent
from bandwidth_voice_exporter.voice import CallEnded

# Calls that wait in memory for a failing disk, in some 50 MB; more are counted, not recorded.
_MOST = 50_000


class Unrecorded:
    """Calls that only memory holds; ``calls`` are to be recorded, oldest first; some are lost."""

    def __init__(self) -> None:
        self.calls: list[CallEnded] = []
        self._legs: Recent | None = None
        self.has_lost = False  # some never will be recorded

    def has(self, call: CallEnded) -> bool:
        """Whether a leg was counted meanwhile."""
        return self._legs is not None and self._legs.has(call.event_type, call.call_id)

    def add(self, call: CallEnded) -> bool:
        """Take a call; False where its leg was counted meanwhile."""
        if self._legs is None:
            self._legs = Recent()
        if not self._legs.add(call.event_type, call.call_id):
            return False
        if len(self.calls) < _MOST:
            self.calls.append(call)
        else:
            self.has_lost = True
        return True

    def recorded(self, number: int) -> None:
        """Drop the first calls: they are on the disk."""
        del self.calls[:number]
        if not self.has_lost:
            self._legs = None
