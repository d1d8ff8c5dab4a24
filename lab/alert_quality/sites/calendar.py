"""The days of a run as the people at the site see them: their clock, its change, their holidays."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality.traffic import DAY, HOUR, LEAD

Whole = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WARM_UP = 10 * DAY  # a week to learn, and three days so that it is not learned on its last ones
SCORED = 28 * DAY
MINUTES = WARM_UP + SCORED
MONDAY = 0


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """A first day, a Monday in UTC, with a change of clocks and holidays in the scored weeks."""

    zone: str
    first: date
    holidays: tuple[date, ...]

    @property
    def epoch(self) -> int:
        """When the first minute begins, in unix milliseconds."""
        begin = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        return round(begin.timestamp()) * 1000


class Clock(msgspec.Struct, frozen=True):
    """Of each minute from ``LEAD`` before the first on: what clock and calendar on the wall say."""

    minute: Whole  # of the day
    weekday: Whole  # from Monday, 0, on
    day: Whole  # counts the days, from the first on
    holiday: Bools
    after_holiday: Bools  # the first day that is no holiday and no Sunday after one

    def at(self, minute: int) -> int:
        """The place of a minute of the run."""
        return LEAD + minute


CALENDARS = (
    # Clocks forward on 30 March, four days of Easter from 18 April on.
    Calendar(
        zone="Europe/Berlin",
        first=date(2025, 3, 17),
        holidays=tuple(date(2025, 4, day) for day in (18, 19, 20, 21)),
    ),
    # Clocks back on 26 October, holidays on a Friday and a Saturday.
    Calendar(
        zone="Europe/Berlin",
        first=date(2025, 10, 6),
        holidays=(date(2025, 10, 31), date(2025, 11, 1)),
    ),
    # Far from UTC: a day there is parts of two. Clocks back on 6 April, Easter, Anzac Day.
    Calendar(
        zone="Australia/Sydney",
        first=date(2025, 3, 24),
        holidays=(*(date(2025, 4, day) for day in (18, 19, 20, 21)), date(2025, 4, 25)),
    ),
    # Clocks back on 2 November, Veterans Day on a Tuesday.
    Calendar(zone="America/New_York", first=date(2025, 10, 20), holidays=(date(2025, 11, 11),)),
)


@cache
def clock(of: Calendar) -> Clock:
    """Read the clock on the wall at each minute."""
    zone = ZoneInfo(of.zone)
    begin = datetime(of.first.year, of.first.month, of.first.day, tzinfo=UTC)
    # Clocks change at full hours of UTC.
    hours = range(-LEAD // HOUR, MINUTES // HOUR + 1)
    offsets = [(begin + timedelta(hours=hour)).astimezone(zone).utcoffset() for hour in hours]
    shift = np.repeat([round(one.total_seconds() / 60) for one in offsets if one], HOUR)
    utc = np.arange(-LEAD, MINUTES, dtype=np.int64)
    local = utc + shift[: utc.size]
    day = local // DAY
    ordinal = of.first.toordinal() + day
    holidays = {one.toordinal() for one in of.holidays}
    days = range(int(ordinal[0]) - 1, int(ordinal[-1]) + 2)
    after = _after(holidays, days)
    return Clock(
        minute=local % DAY,
        weekday=(ordinal - 1) % 7,
        day=day,
        holiday=np.isin(ordinal, sorted(holidays)),
        after_holiday=np.isin(ordinal, sorted(after)),
    )


def _after(holidays: set[int], days: range) -> set[int]:
    found = set()
    pending = False
    for day in days:
        sunday = (day - 1) % 7 == 6
        if day in holidays:
            pending = True
        elif pending and not sunday:
            found.add(day)
            pending = False
    return found
