"""Which calls webhooks tell of: told by those that they told of, outside times when none came.

A missed call is lost only where the others of its application and direction are told of; where none
ever is, nobody has asked Bandwidth to. Pure: no clock, no I/O.
"""

from collections.abc import Iterable

import msgspec

from bandwidth_voice_exporter.voice import SECOND

# Application, and direction, for which ``transfer`` stands in second legs.
Key = tuple[str, str]

TRANSFER = "transfer"

LEAST = 100  # calls that a share says something of
SHARE = 0.99
_NEVER = 20  # calls of which none was told, where none is going to be
_SILENCE = 10  # missed calls in a row, with none that was told of in between, are an outage
_DAY = 24 * 3600 * SECOND
_DAYS = 7
_MOST_OUTAGES = 100
_MOST_KEYS = 1000
_OTHER = "other"


class Seen(msgspec.Struct):
    """Calls that webhooks told of, and that they did not, by the day of their end."""

    counted: dict[int, int] = {}
    missed: dict[int, int] = {}


class Silence(msgspec.Struct):
    """Missed calls since the last that was told of; ``since`` and ``until`` are ends of calls."""

    since: int = 0
    until: int = 0
    ends: dict[Key, list[int]] = {}
    length: int = 0


class Coverage(msgspec.Struct):
    """What is known of each application and direction, and when no webhooks came at all.

    Calls are put in by their end (microseconds), those of a comparison in its order.
    """

    seen: dict[Key, Seen] = {}
    outages: list[tuple[int, int]] = []
    silence: Silence = msgspec.field(default_factory=Silence)

    def put(self, key: Key, end: int, *, is_counted: bool) -> None:
        """Take a call in."""
        key = self._known(key)
        seen = self.seen.get(key)
        if seen is None:
            seen = self.seen[key] = Seen()
        if is_counted:
            self._break()
            if not seen.counted:
                seen.missed.clear()  # until now nobody had asked for them
            _add(seen.counted, end)
        elif not seen.counted:
            _add(seen.missed, end)
        elif not self.is_outage(end):
            silence = self.silence
            silence.since = min(silence.since, end) if silence.length else end
            silence.until = max(silence.until, end)
            if silence.length < _SILENCE:
                silence.ends.setdefault(key, []).append(end)
            silence.length += 1

    def outage(self, since: int, until: int) -> None:
        """Let no call that ended between two times speak against its kind."""
        if since < until:
            self.outages.append((since, until))
            del self.outages[:-_MOST_OUTAGES]

    def is_outage(self, end: int) -> bool:
        """Whether a call ended while no webhooks came."""
        return any(since <= end <= until for since, until in self.outages)

    def verdict(self, key: Key) -> str:
        """Return what a missed call is: ``missed``, or why that cannot be said."""
        seen = self.seen.get(self._known(key), Seen())
        counted, missed = sum(seen.counted.values()), sum(seen.missed.values())
        if not counted and missed >= _NEVER:
            return "not_configured"
        if counted + missed < LEAST:
            return "too_few"
        return "missed" if counted >= SHARE * (counted + missed) else "partial"

    def ratios(self) -> Iterable[tuple[Key, float]]:
        """Yield the share that webhooks told of."""
        for key, seen in self.seen.items():
            counted, missed = sum(seen.counted.values()), sum(seen.missed.values())
            if counted + missed:
                yield key, counted / (counted + missed)

    def forget(self, now: int) -> None:
        """Let go of what is older than Bandwidth's list."""
        first = now // _DAY - _DAYS
        for seen in self.seen.values():
            for days in (seen.counted, seen.missed):
                for day in [day for day in days if day < first]:
                    del days[day]
        self.seen = {key: seen for key, seen in self.seen.items() if seen.counted or seen.missed}
        self.outages = [one for one in self.outages if one[1] >= first * _DAY]

    def _break(self) -> None:
        """End a silence: a long one was an outage, the calls of a short one were missed singly."""
        silence = self.silence
        if not silence.length:
            return
        if silence.length >= _SILENCE:
            self.outage(silence.since, silence.until)
        else:
            for key, ends in silence.ends.items():
                for end in ends:
                    if (seen := self.seen.get(key)) is not None:
                        _add(seen.missed, end)
        self.silence = Silence()

    def _known(self, key: Key) -> Key:
        return key if key in self.seen or len(self.seen) < _MOST_KEYS else (_OTHER, key[1])


def _add(days: dict[int, int], end: int) -> None:
    day = end // _DAY
    days[day] = days.get(day, 0) + 1
