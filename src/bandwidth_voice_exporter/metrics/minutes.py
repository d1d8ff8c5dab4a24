"""Totals by the minute in which calls were received, whenever somebody looks.

Nothing is done for a call but to see that it is of the same minute as the one before.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from bandwidth_voice_exporter.voice import SECOND

MINUTE = 60 * SECOND

# Those of the last hour are asked for; a clock that is set forward and back adds others to them.
_KEPT = 180


class Ended(msgspec.Struct, frozen=True):
    """Calls by cause, and events by bucket of their delay."""

    causes: Counter[str]
    delays: tuple[int, ...]

    def __add__(self, other: "Ended") -> "Ended":
        """Return both together."""
        delays = zip(self.delays, other.delays, strict=True)
        return Ended(self.causes + other.causes, tuple(one + two for one, two in delays))

    def __sub__(self, other: "Ended") -> "Ended":
        """Return the growth since another, all of which is in this one."""
        delays = zip(self.delays, other.delays, strict=True)
        return Ended(self.causes - other.causes, tuple(one - two for one, two in delays))


class Minutes:
    """The growth of totals in each minute, from a minute and its totals on.

    Minutes are numbered from 1970 on, and may come again, as a clock is set back.
    """

    def __init__(self, number: int, totals: Ended) -> None:
        self._number = number
        self._begun = totals
        self._over: dict[int, Ended] = {}

    def turn(self, number: int, totals: Ended) -> None:
        """Give all growth until now to the minute that was, what follows to another."""
        self._over[self._number] = self._latest(totals)
        if len(self._over) > _KEPT:
            del self._over[next(iter(self._over))]
        self._number, self._begun = number, totals

    def known(self, totals: Ended) -> Mapping[int, Ended]:
        """Return each minute in which there was something, and that of the last call."""
        return {**self._over, self._number: self._latest(totals)}

    def _latest(self, totals: Ended) -> Ended:
        growth = totals - self._begun
        before = self._over.get(self._number)
        return before + growth if before else growth
