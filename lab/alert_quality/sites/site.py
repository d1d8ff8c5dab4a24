"""The sites: who calls whom, when they are open, and what is particular about them."""

import zlib
from collections.abc import Iterator

import msgspec
import numpy as np

from lab.alert_quality.sites.calendar import CALENDARS, WARM_UP, Calendar
from lab.alert_quality.sites.hours import Hours, daily, joined
from lab.alert_quality.traffic import DAY, PAIRS, UNSTEADY, USUAL, Character

PRODUCTION, STAGING = "production", "staging"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An application's calls in one direction; ``weight`` in whatever all lines have."""

    application: str
    direction: str
    weight: float
    hours: Hours
    by_hand: bool = False  # runs when somebody switches a campaign on, not by its hours
    begins: int = 0  # the minute of its first day's begin: new ones come while all is watched
    environment: str = PRODUCTION


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same in all runs of a site."""

    name: str
    lines: tuple[Line, ...]
    character: Character = USUAL
    growth: float = 0.0  # a week
    deploys: bool = False  # every day, two minutes
    replicas: int = 1  # of three, one is replaced twice

    def chance(self, *seeds: int) -> np.random.Generator:
        """Chance of its own: two sites with the same seeds have nothing in common."""
        return np.random.default_rng((zlib.crc32(self.name.encode()), *seeds))

    def calendar(self, seed: int) -> Calendar:
        """The days of a run: the seeds of a site have them in turns, and sites not the same."""
        return CALENDARS[(zlib.crc32(self.name.encode()) + seed) % len(CALENDARS)]

    @property
    def never_closes(self) -> bool:
        """Whether it is one of those that are open day and night, all week."""
        return all(line.hours.always is not None for line in self.lines)

    @property
    def by_hand(self) -> bool:
        """Whether people switch its traffic on and off."""
        return any(line.by_hand for line in self.lines)

    @property
    def environments(self) -> tuple[str, ...]:
        """Production, and what else is scraped under the same job."""
        return tuple(dict.fromkeys(line.environment for line in self.lines))


def _lines(hours: Hours, *told: tuple[str, float, float]) -> Iterator[Line]:
    """Lines of applications with a weight and their share of inbound calls."""
    for application, weight, inbound in told:
        for direction, share in (("inbound", inbound), ("outbound", 1 - inbound)):
            if share > 0:
                yield Line(
                    application=application,
                    direction=direction,
                    weight=weight * share,
                    hours=hours,
                )


def _paired(hours: Hours) -> tuple[Line, ...]:
    return tuple(
        Line(application=one.application, direction=one.direction, weight=one.share, hours=hours)
        for one in PAIRS
    )


_DAY_AND_NIGHT = Hours(always=USUAL)
_EVENINGS = Hours(always=UNSTEADY)
_CENTRE = Hours(week=joined(daily(8, 20), daily(9, 14, "6")), trickle=0.01)
_OFFICE = Hours(week=daily(8, 18))
_SHOP = Hours(week=joined(daily(9, 18), daily(9, 15, "6")), soft=False)
_SURGERY = Hours(week=joined(daily(8, 12, "124"), daily(14, 18, "124")), soft=False)
_REMINDERS = Hours(week=daily(9, 11.5, "245"), soft=False)
_NIGHTLY = Hours(week=daily(2, 2.75, "1234567"), soft=False, holidays=True)
_CAMPAIGNS = Hours(week=daily(9, 20))
_NEW = WARM_UP + 11 * DAY  # a Monday


def _newcomer(hours: Hours, weight: float) -> Line:
    return Line(
        application="newcomer", direction="inbound", weight=weight, hours=hours, begins=_NEW
    )


_CENTRE_LINES = tuple(
    _lines(_CENTRE, ("service", 50, 0.85), ("orders", 30, 1.0), ("callbacks", 20, 0.0))
)

SITES = (
    Site(name="hotline", lines=_paired(_DAY_AND_NIGHT)),
    Site(name="evenings", lines=_paired(_EVENINGS), character=UNSTEADY),
    Site(name="replicas", lines=_paired(_DAY_AND_NIGHT), replicas=3),
    Site(
        name="many",
        lines=(
            *_lines(
                _DAY_AND_NIGHT,
                *((f"tenant-{n:02d}", 1 / n, 0.5 if n % 3 else 1.0) for n in range(1, 41)),
            ),
            _newcomer(_DAY_AND_NIGHT, 0.2),
        ),
    ),
    Site(name="contact-centre", lines=_CENTRE_LINES),
    Site(
        name="shop",
        lines=tuple(_lines(_SHOP, ("sales", 60, 0.9), ("delivery", 40, 0.3))),
        growth=0.06,
    ),
    Site(
        name="dialler",
        lines=(
            *(
                Line(
                    application=name,
                    direction="outbound",
                    weight=weight,
                    hours=_CAMPAIGNS,
                    by_hand=True,
                )
                for name, weight in (("campaign-a", 40), ("campaign-b", 30), ("campaign-c", 20))
            ),
            *_lines(_CENTRE, ("returns", 15, 1.0)),
        ),
    ),
    Site(
        name="batch",
        lines=(
            *_lines(
                _OFFICE,
                *((f"team-{n:02d}", 30 / (n + 2), 0.6 if n % 2 else 0.2) for n in range(27)),
            ),
            _newcomer(_OFFICE, 4),
            *_lines(_NIGHTLY, ("notices", 90, 0.0), ("surveys", 25, 0.0)),
        ),
    ),
    Site(name="deploys", lines=_CENTRE_LINES, deploys=True),
    Site(
        name="environments",
        lines=(
            *_CENTRE_LINES,
            *(
                msgspec.structs.replace(line, environment=STAGING, weight=0.08 * line.weight)
                for line in _lines(_OFFICE, ("service", 50, 0.5), ("orders", 30, 0.5))
            ),
        ),
    ),
    Site(
        name="clinic",
        lines=(
            *_lines(_SURGERY, ("reception", 50, 1.0), ("laboratory", 20, 0.6)),
            *_lines(_REMINDERS, ("reminders", 45, 0.0)),
        ),
    ),
)
BY_NAME = {site.name: site for site in SITES}
