"""The keys of the newest counted call legs, to recognise redeliveries without a disk."""

from collections import deque

from bandwidth_voice_exporter.event import DISCONNECT

# Half an hour of redeliveries at 100 calls a second, in some 30 MB.
RECENT = 200_000


class Recent:
    """The most recent keys of counted legs, oldest forgotten first."""

    def __init__(self, cap: int = RECENT) -> None:
        self._cap = cap
        # A dict's first key is slow to find once others before it are gone, hence the deque; a set
        # would change its size over and over where as many keys come as go.
        self._keys: dict[str, None] = {}
        self._order: deque[str] = deque()

    def add(self, event_type: str, call_id: str | None) -> bool:
        """Remember a leg; False where it is remembered already. One without an id is always new."""
        if call_id is None:
            return True
        # One text a key, and the call's own for nearly all: a tuple would take half as much again.
        key = call_id if event_type == DISCONNECT else f"{event_type}\n{call_id}"
        if key in self._keys:
            return False
        self._keys[key] = None
        self._order.append(key)
        if len(self._order) > self._cap:
            del self._keys[self._order.popleft()]
        return True
