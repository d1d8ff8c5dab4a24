"""A client's standing: a stranger, or one that has shown right credentials."""

from bandwidth_voice_exporter.http.room import STRANGERS_READ_BYTES

# A client that means it sends its request at once: younger connections are not given up.
_GRACE_SECONDS = 1.0
_LEAST_GRACE_SECONDS = 0.25  # if there are only young ones
_MOST_REFUSALS = 2  # of a stranger, which may be Bandwidth asking first


class Standing:
    """A stranger's, until right credentials come; times in seconds of the event loop's clock.

    ``since`` is the time of the last right request: a stranger is as old as the connection, however
    often it is refused. ``seconds`` are those that were spent on a stranger.
    """

    __slots__ = ("_refusals", "_spared_until", "_strange_bytes", "is_trusted", "seconds", "since")

    def __init__(self, now: float) -> None:
        self.is_trusted = False
        self.since = now
        self.seconds = 0.0
        self._spared_until = now + _GRACE_SECONDS
        self._refusals = 0
        self._strange_bytes = 0

    @property
    def order(self) -> tuple[bool, float]:
        """The order in which connections are closed if room is short: the least first."""
        return self.is_trusted, self.since

    @property
    def is_costly(self) -> bool:
        """Whether it has to take turns: a stranger that wants more than most events."""
        is_served = self._strange_bytes < STRANGERS_READ_BYTES and self._refusals < _MOST_REFUSALS
        return not (self.is_trusted or is_served)

    def is_young(self, now: float) -> bool:
        """Whether it is too early to close its connection even where all are spared."""
        return self.is_trusted or now < self._spared_until - _GRACE_SECONDS + _LEAST_GRACE_SECONDS

    def is_spared(self, now: float) -> bool:
        """Whether it is too early to close its connection for others."""
        return now < (self.since + _GRACE_SECONDS if self.is_trusted else self._spared_until)

    def trust(self, now: float) -> None:
        """Take note of right credentials."""
        self.is_trusted = True
        self.since = now
        self._refusals = 0

    def read(self, size: int) -> None:
        """Take note of bytes that were read of a stranger."""
        self._strange_bytes += size

    def refuse(self, now: float, *, is_asked: bool) -> bool:
        """Take note of a refusal, or of a question; whether it may be Bandwidth that asks first."""
        self._refusals += 1
        is_first = self._refusals < _MOST_REFUSALS
        self._spared_until = now + _GRACE_SECONDS if is_first and is_asked else 0.0
        return is_first
