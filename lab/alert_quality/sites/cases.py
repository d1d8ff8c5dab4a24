"""Which things happen in a run: drawn by chance from what is written here."""

import hashlib
import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.voice.causes import DOMAIN_OF_CAUSE
from lab.alert_quality.incident import FLOW, LEAST_EXCESS, LEAST_POINTS, SHORT
from lab.alert_quality.sites.calendar import MINUTES, MONDAY, WARM_UP
from lab.alert_quality.sites.deck import APPLICATION, DECK, NEW, Sort
from lab.alert_quality.sites.demand import Demand, demand
from lab.alert_quality.sites.happening import Case, Happening, Place, weigh
from lab.alert_quality.sites.site import PRODUCTION, STAGING, Line, Site
from lab.alert_quality.traffic import BASE_SHARE, DAY, DIRECTIONS, HOUR, LEAD, Floats

RECOVERY = 2 * HOUR
_A_DAY = 0.55  # how likely something happens in a direction on a day, its recovery permitting
_MONDAYS = 0.9  # the same on Mondays and after holidays, of which there are few
_MATERIAL = 0.9  # are drawn until they are
_TRIES = 400
_BOTH = 0.12
_PLACES: tuple[tuple[Place, float], ...] = (
    ("anywhere", 0.55),
    ("before the opening", 0.12),
    ("at the opening", 0.13),
    ("over the closing", 0.20),
)
_MATERIAL_LOSS = LEAST_POINTS[FLOW]
_STAGING_A_WEEK = 5


_NEW_DAYS = (0, 3)  # the first and the fourth day of an application, by turns
_ALWAYS_BUSY = ("busy", "timeout")  # who calls in never is


def cases(site: Site, level: int, seed: int) -> tuple[Case, ...]:
    """Draw what happens in production, in the order of the starts."""
    return tuple(_Draw(demand(site, level, seed), seed).all())


def breakages(site: Site, seed: int) -> tuple[Happening, ...]:
    """What developers break in staging, where there is one; production knows nothing of it."""
    if STAGING not in site.environments:
        return ()
    rng = site.chance(seed, 15)
    weeks = (MINUTES - WARM_UP) / (7 * 24 * HOUR)
    starts = np.sort(rng.integers(WARM_UP, MINUTES - 4 * HOUR, round(_STAGING_A_WEEK * weeks)))
    found: list[Happening] = []
    for start in starts.tolist():
        if found and start < found[-1].end:
            continue
        found.append(
            Happening(
                kind="application",
                cause=str(rng.choice(APPLICATION)),
                share=float(rng.uniform(0.6, 1.0)),
                start=start,
                length=int(rng.integers(30, 180)),
                application=None,
                direction="both",
                environment=STAGING,
            )
        )
    return tuple(found)


def digest(site: Site, level: int, seed: int) -> str:
    """A short hash of what happens in a run: it changes when the catalogue does."""
    happenings = [case.incident for case in cases(site, level, seed)]
    text = msgspec.json.encode([*happenings, *breakages(site, seed)])
    return hashlib.sha256(text).hexdigest()[:16]


class _Draw:
    """Draws the cases of one run."""

    def __init__(self, expected: Demand, seed: int) -> None:
        self._rng = expected.site.chance(seed, expected.level, 16)
        self._expected = expected
        self._open = {name: expected.opened(name) for name in (*DIRECTIONS, "both")}
        self._decks: dict[str, list[Sort]] = {name: [] for name in DIRECTIONS}
        self._free = dict.fromkeys(DIRECTIONS, WARM_UP)
        self._new = {
            int(expected.clock.day[expected.clock.at(line.begins) + DAY // 2])
            + _NEW_DAYS[seed % 2]: line
            for line in expected.site.lines
            if line.begins
        }

    def all(self) -> list[Case]:
        """Every day of the scored weeks, each direction in its turn."""
        found: list[Case] = []
        clock = self._expected.clock
        scored = clock.day[LEAD + WARM_UP : LEAD + MINUTES]
        for day in range(int(scored[0]) + 1, int(scored[-1])):
            today = np.flatnonzero(clock.day == day)
            special = bool((clock.weekday[today[0]] == MONDAY) | clock.after_holiday[today[0]])
            for turn in self._rng.permutation(2):
                lane = DIRECTIONS[turn]
                new = self._new.get(day) if lane == "inbound" else None
                likely = self._rng.random() < (_MONDAYS if special else _A_DAY)
                hours = today[self._open[lane][today]]
                if not (likely or new) or not hours.size:
                    continue
                case = self._one(lane, hours, new, monday=special)
                if case is None:
                    continue
                found.append(case)
                for name in DIRECTIONS:
                    if case.incident.runs_in(name):
                        self._free[name] = case.incident.end + RECOVERY
        return sorted(found, key=lambda case: case.incident.start)

    def _one(
        self, lane: str, hours: npt.NDArray[np.int64], new: Line | None, *, monday: bool
    ) -> Case | None:
        deck = self._decks[lane] = self._decks[lane] or [
            DECK[i] for i in self._rng.permutation(len(DECK))
        ]
        sort = deck.pop() if new is None else NEW
        names = self._applications(lane, int(hours[0]) - LEAD, new)
        material = self._rng.random() < _MATERIAL
        for _ in range(_TRIES):
            happening = self._happening(sort, lane, hours, names)
            if happening is None or happening.end + RECOVERY > MINUTES:
                continue
            lanes = [name for name in DIRECTIONS if happening.runs_in(name)]
            if happening.start < max(self._free[name] for name in lanes):
                continue
            case = self._weighed(happening, monday=monday, new=new is not None)
            if case is None:
                continue
            # Who loses half of the calls, or one application's, is told if it can be.
            aimed = sort.kind == FLOW and (sort.most < _MATERIAL_LOSS or sort.one_application == 1)
            if not material or case.material or (aimed and case.calls >= LEAST_EXCESS):
                return case
        return None

    def _applications(self, lane: str, minute: int, new: Line | None) -> list[str]:
        """Those with calls in a direction by then; of a new one that it strikes, none but that."""
        if new is not None:
            return [new.application]
        return sorted(
            {
                line.application
                for line in self._expected.site.lines
                if line.environment == PRODUCTION
                and line.direction == lane
                and line.begins <= minute
            }
        )

    def _happening(
        self, sort: Sort, lane: str, hours: npt.NDArray[np.int64], names: Sequence[str]
    ) -> Happening | None:
        rng = self._rng
        first, last = int(hours[0]) - LEAD, int(hours[-1]) + 1 - LEAD
        length = round(math.exp(rng.uniform(math.log(sort.shortest), math.log(sort.longest))))
        place = _PLACES[int(rng.choice(len(_PLACES), p=[p for _, p in _PLACES]))][0]
        if self._expected.site.never_closes:
            place = "anywhere"
        if place == "anywhere":
            start = int(hours[rng.integers(hours.size)]) - LEAD
        elif place == "at the opening":
            start = first
        elif place == "before the opening":
            before = int(rng.integers(10, 3 * HOUR))
            start, length = first - before, length + before
        else:
            start = last - int(rng.integers(20, 120))
            length = last - start + int(rng.integers(30, 4 * HOUR))
        both = rng.random() < _BOTH
        direction = "both" if both else lane
        one = rng.random() < sort.one_application
        if one and len(names) == 1 and sort is not NEW:
            return None  # one of one is all
        causes = [cause for cause in sort.causes if lane == "outbound" or cause not in _ALWAYS_BUSY]
        return Happening(
            kind=sort.kind,
            cause=str(rng.choice(causes)) if causes else None,
            share=math.exp(rng.uniform(math.log(sort.least), math.log(sort.most))),
            start=start,
            length=length,
            application=str(rng.choice(names)) if one else None,
            direction=lane if one else direction,
            course=sort.course,
            place=place,
        )

    def _weighed(self, one: Happening, *, monday: bool, new: bool) -> Case | None:
        during = slice(LEAD + one.start, LEAD + one.end)
        hit = self._expected.of(one.direction, one.application, during)
        open_at = np.flatnonzero(self._open[one.direction][during] & (hit > 0))
        if not open_at.size:
            return None
        lanes = [name for name in DIRECTIONS if one.runs_in(name)]
        bad = float(np.mean([_anyway(one.kind, name) for name in lanes]))
        together = self._expected.of(one.direction, None, during)
        return Case(
            incident=one,
            weight=weigh(one, hit, together, bad),
            calls=float(hit.sum()),
            opened=one.start + int(open_at[0]),
            closed=one.start + int(open_at[-1]) + 1,
            faded=one.start + max(int(open_at[-1]) + 1, _faded(one, hit)),
            monday=monday,
            new=new,
        )


def _faded(one: Happening, hit: Floats) -> int:
    """The minute of an incident from which on less than one call is expected that it hits."""
    to_come = np.cumsum((one.strength() * hit)[::-1])[::-1]
    return int((to_come >= 1).sum())


def _anyway(kind: str, direction: str) -> float:
    if kind == FLOW:
        return 0.0
    shares = BASE_SHARE[direction]
    if kind == SHORT:
        return 1 - shares["hangup"] * 0.96
    return sum(share for cause, share in shares.items() if DOMAIN_OF_CAUSE[cause] == kind)
