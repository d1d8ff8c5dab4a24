"""The site's own clock: when it is changed, and the days on which the site is closed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec

from bandwidth_voice_exporter.alerts.rulefile import Recording

SHIFT = "bandwidth_voice:clock:shift"
CLOSED_DAY = "bandwidth_voice:closed:day"
_YEARS = range(2025, 2041)
_WEEK = 7 * 86_400  # seconds
_WEEK_MINUTES = 7 * 1_440


class WallClock(msgspec.Struct, frozen=True):
    """A time zone and the dates on which nobody works there."""

    zone: ZoneInfo
    closed_days: tuple[date, ...] = ()

    def recordings(self) -> Iterator[Recording]:
        """Yield what the rules have to know of the clock; nothing where it never changes."""
        changes = self.changes()
        if changes:
            terms = (
                f"{minutes} * ((time() >= bool {at}) - (time() >= bool {at + _WEEK}))"
                for at, minutes in changes
            )
            yield Recording(SHIFT, "vector(\n  " + "\n  + ".join(terms) + "\n)")
        if self.closed_days:
            # A day that is given twice is closed once.
            spans = {(self._midnight(day), self._midnight(_after(day))) for day in self.closed_days}
            terms = (
                f"(time() >= bool {begin}) * (time() < bool {end})" for begin, end in sorted(spans)
            )
            yield Recording(CLOSED_DAY, "vector(\n  " + "\n  + ".join(terms) + "\n)")

    def changes(self) -> tuple[tuple[int, int], ...]:
        """Return when clocks are put forward, in unix seconds, and by how many minutes."""
        return _changes(self.zone)

    def week_ago(self, series: str, *, window: str = "", over: str = "", later: int = 0) -> str:
        """Return a series, or a function ``over`` a window of it, at this time of last week.

        ``later``: so many minutes later than this time. In the week after a change of clocks it is
        the same time by the clock on the wall.
        """

        def at(shift: int) -> str:
            ago = f"{series}{window} offset {_duration(_WEEK_MINUTES - later - shift)}"
            return f"{over}({ago})" if over else ago

        shifts = sorted({minutes for _, minutes in self.changes()})
        if not shifts:
            return at(0)
        turns = (f"({at(shift)} and on () {SHIFT} == {shift})" for shift in (0, *shifts))
        return "(\n  " + "\n  or\n  ".join(turns) + "\n)"

    def unless_closed(self, expression: str) -> str:
        """Return an expression, 0 on closed days."""
        if not self.closed_days:
            return expression
        return f"{expression}\n* on () group_left () (1 - {CLOSED_DAY})"

    def _midnight(self, day: date) -> int:
        return round(datetime.combine(day, time(), self.zone).timestamp())


@cache
def _changes(zone: ZoneInfo) -> tuple[tuple[int, int], ...]:
    return tuple(_found(zone))


def _found(zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    day = datetime(_YEARS.start, 1, 1, tzinfo=UTC)
    while day.year < _YEARS.stop:
        next_day = day + timedelta(days=1)
        shift = _offset(next_day, zone) - _offset(day, zone)
        if shift:
            hours = (day + timedelta(hours=hour) for hour in range(1, 25))
            at = next(hour for hour in hours if _offset(hour, zone) != _offset(day, zone))
            yield round(at.timestamp()), round(shift.total_seconds() / 60)
        day = next_day


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _duration(minutes: int) -> str:
    days, rest = divmod(minutes, 1_440)
    hours, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (rest, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
