"""When a line is open: how busy it is at each minute of its own week."""

from functools import cache

import msgspec
import numpy as np
import numpy.typing as npt

from lab.alert_quality.sites.calendar import Clock
from lab.alert_quality.traffic import HOUR, Character, Floats, week_shape

_HOLIDAY_CALLS = 0.45  # where nobody closes
_RAMP = 60  # minutes in which a soft opening or closing is reached
_RUSH = 1.4  # those who have waited for a hard opening, in its first quarter of an hour
_RUSH_MINUTES = 15
_MIDDAY_DIP = 0.25
Span = tuple[int, int]  # from and to, in minutes of the day


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of each weekday from Monday on; ``always``: day and night, in that curve.

    ``soft`` hours begin and end gradually, and ``trickle`` of the calls of a busy minute come when
    it is closed; ``holidays`` says whether it is open on those.
    """

    week: tuple[tuple[Span, ...], ...] = ((),) * 7
    always: Character | None = None
    soft: bool = True
    trickle: float = 0.0
    holidays: bool = False

    def shape(self, clock: Clock) -> Floats:
        """How busy it is, the usual busy minute being about 1."""
        if self.always is not None:
            busy = _week(self.always)[clock.weekday * 24 * HOUR + clock.minute]
            quieter: Floats = np.where(clock.holiday, _HOLIDAY_CALLS, 1.0) * busy
            return quieter
        shape = np.zeros(clock.minute.size)
        for weekday, spans in enumerate(self.week):
            today = (clock.weekday == weekday) & (self.holidays | ~clock.holiday)
            for span in spans:
                shape = np.where(today, np.maximum(shape, self._of(clock.minute, span)), shape)
        return np.maximum(shape, self.trickle)

    def _of(self, minute: npt.NDArray[np.int64], span: Span) -> Floats:
        begin, end = span
        inside = (minute >= begin) & (minute < end)
        middle = (minute - begin) / (end - begin)
        # Two humps with lunch between them.
        level = 1 - _MIDDAY_DIP * np.cos(4 * np.pi * (middle - 0.5)) * (end - begin > 5 * HOUR)
        if self.soft:
            edge = np.minimum(minute - begin + 1, end - minute) / _RAMP
            return np.where(inside, level * np.minimum(1.0, edge), 0.0)
        rush = np.where(minute < begin + _RUSH_MINUTES, _RUSH, 1.0)
        return np.where(inside, level * rush, 0.0)


@cache
def _week(character: Character) -> Floats:
    return week_shape(character)


def daily(begin: float, end: float, weekdays: str = "12345") -> tuple[tuple[Span, ...], ...]:
    """The same span, in hours, on each of the weekdays, from Monday, 1, on."""
    span = (round(begin * HOUR), round(end * HOUR))
    return tuple((span,) if str(day) in weekdays else () for day in range(1, 8))


def joined(*weeks: tuple[tuple[Span, ...], ...]) -> tuple[tuple[Span, ...], ...]:
    """The spans of several weeks, day by day."""
    return tuple(sum(day, ()) for day in zip(*weeks, strict=True))
