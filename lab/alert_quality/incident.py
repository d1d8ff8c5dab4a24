"""What goes wrong: its kind, how much of what it hits, since when and for how long."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import numpy as np

from bandwidth_voice_exporter.voice.causes import DOMAIN_OF_CAUSE
from lab.alert_quality.traffic import (
    BASE_SHARE,
    LEAD,
    PAIRS,
    Character,
    Floats,
    Pair,
    level_curve,
)

FLOW = "flow"
SHORT = "short"
KINDS = ("application", "bandwidth", "account", "user", FLOW, SHORT)
LEAST_EXCESS = 20.0  # calls
LEAST_POINTS: Mapping[str, float] = MappingProxyType(
    {
        "application": 0.05,
        "bandwidth": 0.05,
        "account": 0.05,
        "user": 0.20,
        FLOW: 0.70,
        SHORT: 0.20,
    }
)
_TALKS = {"inbound": 0.9245, "outbound": 0.672}  # hung up after an answer: what can be short
_SHORT_ANYWAY = 0.007  # of those


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Of the calls that start in its minutes, a share is hit.

    Those end with ``cause``; with kind flow they never take place; with kind short those of them
    that were to be talked on are hung up within 6 s. ``application`` None: all; ``direction`` may
    be ``both``.
    """

    kind: str
    cause: str | None
    share: float
    start: int  # minutes since the first minute that counts
    length: int  # minutes
    application: str | None
    direction: str

    @property
    def end(self) -> int:
        """The first minute after it."""
        return self.start + self.length

    def covers(self, pair: Pair) -> bool:
        """Whether calls of this pair can be hit."""
        return self.application in {None, pair.application} and self.runs_in(pair.direction)

    def runs_in(self, direction: str) -> bool:
        """Whether calls in this direction can be hit."""
        return self.direction in {"both", direction}


class Weight(msgspec.Struct, frozen=True):
    """How much an incident is expected to change, in traffic without noise.

    ``excess``: calls that go wrong and would not have. ``points``: their share of the calls (for
    short: of the calls talked on) in the incident's directions; ``points_hit``: of the calls of
    the applications hit alone.
    """

    excess: float
    points: float
    points_hit: float

    def material(self, kind: str) -> bool:
        """Whether a rule is to find it.

        An application failure is weighed in the applications it hits, because failures of one
        application are to be told; everything else in the direction as a whole.
        """
        points = self.points_hit if kind == "application" else self.points
        return self.excess >= LEAST_EXCESS and points >= LEAST_POINTS[kind]


class Scale(msgspec.Struct, frozen=True):
    """The traffic an incident is weighed in: ``level`` times the curve of the week."""

    level: float
    until: Floats  # expected calls of a pair with share 1, from the lead's begin to a minute

    @classmethod
    def of(cls, level: float, minutes: int, character: Character) -> "Scale":
        """Add up the curve once for many incidents."""
        curve = level_curve(character, minutes)
        return cls(level, np.concatenate(([0.0], np.cumsum(curve))) * level)

    def calls(self, incident: Incident) -> float:
        """The calls that start while it lasts, of a pair that had all the traffic."""
        return float(self.until[LEAD + incident.end] - self.until[LEAD + incident.start])


def weigh(incident: Incident, scale: Scale) -> Weight:
    """Return what the incident is expected to change."""
    calls = scale.calls(incident)
    in_direction = [pair for pair in PAIRS if incident.runs_in(pair.direction)]
    hit = [pair for pair in in_direction if incident.covers(pair)]
    changed = sum(pair.share * _changed(incident, pair.direction) for pair in hit)
    return Weight(
        excess=calls * changed,
        points=changed / sum(pair.share * _counted(incident, pair) for pair in in_direction),
        points_hit=changed / sum(pair.share * _counted(incident, pair) for pair in hit),
    )


def _changed(incident: Incident, direction: str) -> float:
    """The share of the calls hit that would not have been like that anyway."""
    if incident.kind == FLOW:
        return incident.share
    if incident.kind == SHORT:
        return incident.share * _TALKS[direction] * (1 - _SHORT_ANYWAY)
    bad = sum(
        share
        for cause, share in BASE_SHARE[direction].items()
        if DOMAIN_OF_CAUSE[cause] == incident.kind
    )
    return incident.share * (1 - bad)


def _counted(incident: Incident, pair: Pair) -> float:
    return _TALKS[pair.direction] if incident.kind == SHORT else 1.0
