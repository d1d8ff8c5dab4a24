"""The keys of the newest counted call legs, to recognise redeliveries without a disk."""

from collections import deque

from bandwidth_voice_exporter.voice import DISCONNECT

# Half an hour of redeliveries at 100 calls a second, in some 30 MB.
RECENT = 200_000
_GENERATIONS = 12


class Recent:
    """At least ``cap`` of the most recent keys of counted legs, oldest forgotten first."""

    def __init__(self, cap: int = RECENT) -> None:
        self._share = -(-cap // _GENERATIONS)
        # One table where as many keys come as go is rebuilt over and over, at sizes that differ by
        # tens of megabytes. These only grow, to the same size each, and are dropped as a whole.
        self._generations: deque[set[str]] = deque([set()], maxlen=_GENERATIONS + 1)

    def add(self, event_type: str, call_id: str | None) -> bool:
        """Remember a leg; False where it is remembered already. One without an id is always new."""
        if call_id is None:
            return True
        key = _key(event_type, call_id)
        for generation in self._generations:  # any() would take twice as long for few of them
            if key in generation:
                return False
        newest = self._generations[-1]
        if len(newest) == self._share:
            newest = set()
            self._generations.append(newest)
        newest.add(key)
        return True

    def has(self, event_type: str, call_id: str | None) -> bool:
        """Whether a leg is remembered."""
        if call_id is None:
            return False
        key = _key(event_type, call_id)
        return any(key in generation for generation in self._generations)


def _key(event_type: str, call_id: str) -> str:
    # One text a key, and the call's own for nearly all: a tuple would take half as much again.
    return call_id if event_type == DISCONNECT else f"{event_type}\n{call_id}"
