"""What goes wrong at a site: an incident that also has a course, and a place in the day."""

from typing import Literal

import numpy as np

from lab.alert_quality.catalogue import Entry
from lab.alert_quality.incident import FLOW, LEAST_POINTS, Incident, Weight
from lab.alert_quality.sites.site import PRODUCTION, Line
from lab.alert_quality.traffic import Floats

Course = Literal["steady", "ramp", "flapping", "slow burn"]
Place = Literal["anywhere", "before the opening", "at the opening", "over the closing"]

UNDOCUMENTED = ("media-timeout", "carrier-declined", "session-expired")  # Bandwidth's, in a year
_RAMP = 90  # minutes at most until a ramp is up
_ON, _OF = 5, 15  # minutes of flapping: so many of so many
LOSS = "loss of 70 % and more"
_MATERIAL_LOSS = LEAST_POINTS[FLOW]
_WHOLE = 0.95  # of the calls are gone: silence, not a loss


class Happening(Incident, frozen=True, kw_only=True):
    """An incident whose share is that of its worst minutes."""

    course: Course = "steady"
    place: Place = "anywhere"
    environment: str = PRODUCTION

    def hits(self, line: Line) -> bool:
        """Whether calls of this line can be hit."""
        return (
            line.environment == self.environment
            and self.application in {None, line.application}
            and self.runs_in(line.direction)
        )

    def strength(self) -> Floats:
        """The share that is hit in each of its minutes."""
        minute = np.arange(self.length)
        if self.course == "ramp":
            top = min(_RAMP, max(1, self.length // 2))
            return self.share * np.minimum(1.0, (minute + 1) / top)
        if self.course == "flapping":
            return np.where(minute % _OF < _ON, self.share, 0.0)
        return np.full(self.length, self.share)


class Case(Entry, frozen=True, kw_only=True):
    """A happening, what it weighs, and when in it the site is open.

    ``calls`` are expected in the lines hit while it lasts. What happens before the opening or
    after the closing nobody can know: ``opened`` and ``closed`` are the first minute in it with
    calls to expect, and the one after the last. Calls that come after the closing and are hit keep
    an alert firing: ``faded`` is the minute from which on less than one of them is expected.
    """

    incident: Happening
    weight: Weight
    calls: float
    opened: int
    closed: int
    faded: int
    monday: bool  # or the day after a holiday
    new: bool = False  # strikes an application in its first week

    @property
    def sort(self) -> str:
        """The kind, or for lost calls how many of them."""
        one = self.incident
        if self.new:
            return "new application"
        if one.kind != FLOW:
            undocumented = one.cause in UNDOCUMENTED
            return "undocumented cause" if undocumented else one.kind
        if one.application is not None:
            return "one application's calls lost"
        if one.course == "flapping":
            return "flapping silence"
        if one.share >= _WHOLE:
            return "silence"
        return f"loss of {one.share:.0%}" if one.share < _MATERIAL_LOSS else LOSS

    @property
    def lost_enough(self) -> bool:
        """Whether it is one of the silences and losses that every rule set is to tell."""
        least = {"silence": 30, LOSS: 80}.get(self.sort)
        return least is not None and self.calls >= least


def weigh(happening: Happening, hit: Floats, together: Floats, bad: float) -> Weight:
    """What a happening changes, of the calls expected in its minutes.

    ``hit`` are those of the lines it hits, ``together`` of all in its directions; ``bad`` is the
    share of calls that would have gone wrong that way anyway, or that nothing can be done to.
    """
    strength = happening.strength() * (1 - bad)
    # Of what comes and goes, or grows, only what it is when it is there.
    there = strength >= strength.max(initial=0.0) / 2
    excess = float((strength * hit).sum())
    at_worst = float((strength * hit)[there].sum())

    def _points(of: Floats) -> float:
        calls = float(of[there].sum())
        return at_worst / calls if calls else 0.0

    return Weight(excess=excess, points=_points(together), points_hit=_points(hit))
