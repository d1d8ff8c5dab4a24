"""Heads as they were parsed, by their bytes: a sender's are nearly all the same."""

import msgspec

LONGEST = 1024  # bytes of a head that is remembered
_MOST = 256
_SECONDS = 10.0  # for which one is: it has credentials in it


class Head(msgspec.Struct, frozen=True):
    """All that a head says; ``length`` is that of the body which follows it, in bytes.

    The headers are not to be changed: later requests have the same ones.
    """

    method: str
    url: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    may_be_followed: bool
    length: int


class Heads:
    """Some heads, from one look at the clock to another: no more come in than there is room for.

    The same bytes say the same on any connection.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self._until = 0.0
        self.has_room = True
        self.find = self._known.get

    def learn(self, text: bytes, head: Head) -> None:
        """Remember what the bytes of a head say, where there is room."""
        if self.has_room:
            self._known[text] = head
            self.has_room = len(self._known) < _MOST

    def look(self, now: float) -> None:
        """Forget all of them where their time is over, by the event loop's clock."""
        if now >= self._until:
            self._known.clear()
            self.has_room = True
            self._until = now + _SECONDS
