"""Which incidents happen: drawn by chance from what is written here, before any rule was tuned.

Each direction is a lane with one incident in every slot of 20 hours, never two at once and two
hours of recovery between them. That is denser than reality, and so are last week's incidents in
this week's baselines: it makes the task harder, not easier. Nine in ten are drawn until they
are material in expectation at the level of traffic (`Weight.material`), so that recall is
measured on many; the tenth is whatever comes first.
"""

import hashlib
import math

import msgspec
import numpy as np

from lab.alert_quality.incident import FLOW, KINDS, SHORT, Incident, Scale, Weight, weigh
from lab.alert_quality.traffic import DAY, DIRECTIONS, HOUR, PAIRS, USUAL, Character

LEVELS = (1, 10, 60, 30_000)  # calls a minute, on average over the week
TUNING_SEEDS = tuple(range(1, 7))
REPORTING_SEEDS = tuple(range(1001, 1013))
SENSITIVITY_SEEDS = tuple(range(2001, 2005))
WARM_UP = 8 * DAY
SCORED = 28 * DAY
MINUTES = WARM_UP + SCORED

_SLOT = 20 * HOUR
_RECOVERY = 2 * HOUR
_SHORTEST, _LONGEST = 10, 8 * HOUR
_MATERIAL = 0.9  # are drawn until they are
_TRIES = 20_000
_BOTH = 0.1  # of all incidents that are not of one direction by their nature

_CAUSES = {
    ("application", "inbound"): ("callback-error", "invalid-bxml", "application-error"),
    ("application", "outbound"): ("callback-error", "invalid-bxml", "application-error"),
    ("bandwidth", "inbound"): ("error", "node-capacity-exceeded", "unknown"),
    ("bandwidth", "outbound"): ("error", "node-capacity-exceeded", "unknown"),
    ("account", "inbound"): ("account-limit",),
    ("account", "outbound"): ("account-limit",),
    # Who calls in is never busy.
    ("user", "inbound"): ("cancel", "rejected"),
    ("user", "outbound"): ("busy", "timeout", "rejected", "cancel"),
}
# How likely one application is hit and not all: what the carrier or the account does, all feel.
_ONE_APPLICATION = {
    "application": 0.6,
    "bandwidth": 0.2,
    "account": 0.2,
    "user": 0.4,
    FLOW: 0.4,
    SHORT: 0.4,
}


class Entry(msgspec.Struct, frozen=True):
    """An incident and what it weighs."""

    incident: Incident
    weight: Weight

    @property
    def material(self) -> bool:
        """Whether a rule is to find it."""
        return self.weight.material(self.incident.kind)


def catalogue(level: int, seed: int, character: Character = USUAL) -> tuple[Entry, ...]:
    """Draw the incidents of a run, in the order of their starts."""
    rng = np.random.default_rng((seed, level, 2))
    scale = Scale.of(level, MINUTES, character)
    free = dict.fromkeys(DIRECTIONS, WARM_UP)
    decks: dict[str, list[str]] = {direction: [] for direction in DIRECTIONS}
    found: list[Entry] = []
    for slot in range(WARM_UP, MINUTES - _SLOT + 1, _SLOT):
        for turn in rng.permutation(2):
            direction = DIRECTIONS[turn]
            if free[direction] >= slot + _SLOT - _RECOVERY:
                continue
            # A deck of all kinds, so that each comes equally often.
            decks[direction] = decks[direction] or [KINDS[i] for i in rng.permutation(len(KINDS))]
            entry = _draw(rng, scale, decks[direction][-1], lane=direction, slot=slot, free=free)
            if entry is None:
                continue
            decks[direction].pop()
            found.append(entry)
            for name in DIRECTIONS:
                if entry.incident.runs_in(name):
                    free[name] = entry.incident.end + _RECOVERY
    return tuple(sorted(found, key=lambda entry: entry.incident.start))


def digest(level: int, seed: int, character: Character = USUAL) -> str:
    """A short hash of a run's incidents: it changes when the catalogue does."""
    text = msgspec.json.encode([entry.incident for entry in catalogue(level, seed, character)])
    return hashlib.sha256(text).hexdigest()[:16]


def _draw(  # noqa: PLR0913 - an incident has that many sides
    rng: np.random.Generator,
    scale: Scale,
    kind: str,
    *,
    lane: str,
    slot: int,
    free: dict[str, int],
) -> Entry | None:
    """Draw an incident that fits; None where none that is material does."""
    material = rng.random() < _MATERIAL
    for _ in range(_TRIES):
        direction = "both" if rng.random() < _BOTH else lane
        earliest = max(free[name] for name in DIRECTIONS if direction in {"both", name})
        start = slot + int(rng.integers(_SLOT))
        length = round(math.exp(rng.uniform(math.log(_SHORTEST), math.log(_LONGEST))))
        incident = _incident(rng, kind, direction, start, length)
        if start < earliest or incident.end + _RECOVERY > MINUTES:
            continue
        weight = weigh(incident, scale)
        if not material or weight.material(kind):
            return Entry(incident, weight)
    return None


def _incident(
    rng: np.random.Generator, kind: str, direction: str, start: int, length: int
) -> Incident:
    one = rng.random() < _ONE_APPLICATION[kind]
    # In both directions at once only what has both.
    lanes = DIRECTIONS if direction == "both" else (direction,)
    having = [{pair.application for pair in PAIRS if pair.direction == lane} for lane in lanes]
    applications = sorted(set.intersection(*having))
    causes = sorted(
        set.intersection(*({*_CAUSES.get((kind, lane), ())} for lane in lanes)),
    )
    least = 0.7 if kind == FLOW else 0.05
    return Incident(
        kind=kind,
        cause=str(rng.choice(causes)) if causes else None,
        share=math.exp(rng.uniform(math.log(least), 0.0)),
        start=start,
        length=length,
        application=str(rng.choice(applications)) if one else None,
        direction=direction,
    )
