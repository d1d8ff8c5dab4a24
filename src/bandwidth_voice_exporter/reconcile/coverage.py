"""The applications and directions that webhooks report, by the share of listed calls.

A missed call is lost only if webhooks report the others of its application and direction; if they
never report any, Bandwidth was not asked to send them. Pure: no clock, no I/O.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.voice import SECOND

# Application, and direction, for which ``transfer`` stands in second legs.
Group = tuple[str, str]

_T = TypeVar("_T")

TRANSFER = "transfer"

LEAST = 100  # calls that a share says something of
SHARE = 0.99
_NEVER = 20  # unreported calls, after which none is expected to be reported
_SILENCE = 5  # missed calls or more, with no reported one between them, are an outage
_PLACE = SECOND  # calls that end within one are not told apart by their time
_DAY = 24 * 3600 * SECOND
_PLACES = _DAY // _PLACE  # of a day
_NO_PLACE = 2**62
_DAYS = 7
_MOST_OUTAGES = 300  # of those that are told
_MOST_KEYS = 1000
_MOST_PLACES = 2000  # of missed calls of a kind
_OTHER = "other"


class Seen(msgspec.Struct):
    """Calls that webhooks reported, by day, and those that they missed, by the place of their end.

    Calls whose place is not known any more are by day: ``excused`` ones ended in an outage,
    ``often`` has the others.
    """

    counted: dict[int, int] = {}
    missed: dict[int, int] = {}
    excused: dict[int, int] = {}
    often: dict[int, int] = {}


class Coverage(msgspec.Struct):
    """The coverage of each application and direction, and the times when no webhook came at all.

    Calls are put in by their end (microseconds), in any order. ``told`` has the places in which a
    reported call ended, as bits by day; ``outages`` are times known from elsewhere.
    """

    seen: dict[Group, Seen] = {}
    told: dict[int, bytearray] = {}
    outages: list[tuple[int, int]] = []

    def put(self, key: Group, end: int, *, is_counted: bool) -> None:
        """Take a call in."""
        key = self.known(key)
        seen = self.seen.get(key)
        if seen is None:
            seen = self.seen[key] = Seen()
        day, place = end // _DAY, end // _PLACE
        if is_counted:
            if not seen.counted:
                seen.often.clear()  # until now nobody had asked for them
            _add(seen.counted, day)
            self._tell(place)
        elif not seen.counted:
            _add(seen.often, day)
        else:
            if len(seen.missed) >= _MOST_PLACES:
                self._condense(seen)
            _add(seen.missed, place)

    def known(self, key: Group) -> Group:
        """Return the name that a kind is counted under: kinds beyond a thousand are together."""
        return key if key in self.seen or len(self.seen) < _MOST_KEYS else (_OTHER, key[1])

    def outage(self, since: int, until: int) -> None:
        """Let no call that ended between two times speak against its kind."""
        if since < until:
            self.outages.append((since, until))
            del self.outages[:-_MOST_OUTAGES]

    def verdicts(self) -> dict[Group, str]:
        """Return the verdict on each kind's missed calls: ``missed``, or why that is not known."""
        return {key: _verdict(*numbers) for key, numbers in self._numbers()}

    def ratios(self) -> Iterator[tuple[Group, float]]:
        """Yield the share that webhooks reported."""
        for key, (counted, missed) in self._numbers():
            if counted + missed:
                yield key, counted / (counted + missed)

    def forget(self, now: int) -> None:
        """Forget the days before the beginning of Bandwidth's list."""
        first = now // _DAY - _DAYS
        _forget(self.told, first)
        for seen in self.seen.values():
            _forget(seen.counted, first)
            _forget(seen.excused, first)
            _forget(seen.often, first)
            _forget(seen.missed, first * _PLACES)
        self.seen = {
            key: seen
            for key, seen in self.seen.items()
            if seen.counted or seen.missed or seen.often
        }
        self.outages = [one for one in self.outages if one[1] >= first * _DAY]

    def _numbers(self) -> Iterator[tuple[Group, tuple[int, int]]]:
        """Yield how many calls of each kind were reported, and how many not, outages left out.

        A kind of which most calls ended in outages has none: it is hardly ever reported.
        """
        silent = list(self._silences())
        silent += [(since // _PLACE, until // _PLACE) for since, until in self.outages]
        for key, seen in self.seen.items():
            counted, missed = sum(seen.counted.values()), sum(seen.missed.values())
            excused = sum(
                number for place, number in seen.missed.items() if _is_within(place, silent)
            )
            missed -= excused
            excused += sum(seen.excused.values())
            missed += excused if excused > counted else 0
            yield key, (counted, sum(seen.often.values()) + missed)

    def _silences(self) -> Iterator[tuple[int, int]]:
        """Yield the places, with those at their borders, in which many calls were missed in a row.

        Calls whose webhooks nobody asked for do not count.
        """
        missed: Counter[int] = Counter()
        for seen in self.seen.values():
            missed.update(seen.missed)
        told = _ToldPlaces(self.told)
        group: list[int] = []
        for place in [*sorted(one for one in missed if not told.has(one)), _NO_PLACE]:
            if group and (place == _NO_PLACE or told.is_any(group[-1], place)):
                if sum(missed[one] for one in group) >= _SILENCE:
                    yield told.before(group[0]), told.after(group[-1])
                group = []
            group.append(place)

    def _condense(self, seen: Seen) -> None:
        """Keep of a kind's missed calls how many there were, and of outages when these were."""
        silent = list(self._silences())
        for since, until in silent:
            self.outage(since * _PLACE, until * _PLACE)
        for place, number in seen.missed.items():
            days = seen.excused if _is_within(place, silent) else seen.often
            _add(days, place // _PLACES, number)
        seen.missed.clear()

    def _tell(self, place: int) -> None:
        day, at = divmod(place, _PLACES)
        bits = self.told.get(day)
        if bits is None:
            bits = self.told[day] = bytearray(_PLACES // 8)
        bits[at // 8] |= 1 << (at % 8)


class _ToldPlaces:
    """Places in which a reported call ended."""

    def __init__(self, told: Mapping[int, bytearray]) -> None:
        self._days = {day: int.from_bytes(bits, "little") for day, bits in told.items()}

    def has(self, place: int) -> bool:
        """Whether a place is one of them."""
        return self.is_any(place, place)

    def is_any(self, first: int, last: int) -> bool:
        """Whether there is one from a place to another."""
        return any(
            self._part(day, first, last) for day in range(first // _PLACES, last // _PLACES + 1)
        )

    def before(self, place: int) -> int:
        """Return the last one before a place on its day; without one the place."""
        day = place // _PLACES
        part = self._part(day, day * _PLACES, place)
        return day * _PLACES + part.bit_length() - 1 if part else place

    def after(self, place: int) -> int:
        """Return the first one after a place on its day; without one the place."""
        day = place // _PLACES
        part = self._part(day, place, (day + 1) * _PLACES - 1)
        return place + (part & -part).bit_length() - 1 if part else place

    def _part(self, day: int, first: int, last: int) -> int:
        low, high = max(first - day * _PLACES, 0), min(last - day * _PLACES, _PLACES - 1)
        return self._days.get(day, 0) >> low & ((1 << (high - low + 1)) - 1)


def _add(numbers: dict[int, int], at: int, number: int = 1) -> None:
    numbers[at] = numbers.get(at, 0) + number


def _is_within(place: int, times: Sequence[tuple[int, int]]) -> bool:
    return any(since <= place <= until for since, until in times)


def _forget(by_time: dict[int, _T], first: int) -> None:
    for at in [at for at in by_time if at < first]:
        del by_time[at]


def _verdict(counted: int, missed: int) -> str:
    if not counted and missed >= _NEVER:
        return "not_configured"
    if counted + missed < LEAST:
        return "too_few"
    return "missed" if counted >= SHARE * (counted + missed) else "partial"
