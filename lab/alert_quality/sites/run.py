"""One simulated run of a site, and the seeds there are: tuning and reporting ones apart."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from lab.alert_quality.samples import Series
from lab.alert_quality.sites import calls, scraped
from lab.alert_quality.sites.calendar import Calendar
from lab.alert_quality.sites.cases import breakages, cases
from lab.alert_quality.sites.demand import LEVELS, demand
from lab.alert_quality.sites.happening import Case, Happening
from lab.alert_quality.sites.site import BY_NAME, SITES, Site

Purpose = Literal["tuning", "reporting"]
Group = Literal["24/7", "other", "by hand"]
GROUPS: tuple[Group, ...] = ("24/7", "other", "by hand")

_TUNING_SEEDS = tuple(range(101, 105))
# None of them is looked at before the rules are final, and each is run once.
_REPORTING_FIRST = 7001
_REPORTING_EACH: Mapping[str, int] = MappingProxyType(
    {site.name: 5 if site.never_closes else 4 if site.by_hand else 2 for site in SITES}
)
SEEDS: Mapping[Purpose, Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "tuning": {site.name: _TUNING_SEEDS for site in SITES},
        "reporting": {
            name: tuple(range(_REPORTING_FIRST, _REPORTING_FIRST + count))
            for name, count in _REPORTING_EACH.items()
        },
    }
)
LEAST_WEEKS: Mapping[Group, float] = MappingProxyType({"24/7": 60.0, "other": 30.0, "by hand": 0.0})
_REPLAYED = 5  # of so many reported runs one is replayed on a real Prometheus


class SiteRun(msgspec.Struct, frozen=True, order=True):
    """A site at a level, and the chance of a seed."""

    site: str
    level: int
    seed: int

    @property
    def name(self) -> str:
        """What its results are filed under."""
        return f"{self.site}-{self.level}-{self.seed}"

    @property
    def of(self) -> Site:
        """The site itself."""
        return BY_NAME[self.site]

    @property
    def group(self) -> Group:
        """Which sites it is reported with."""
        return group(self.of)

    @property
    def calendar(self) -> Calendar:
        """Its days."""
        return self.of.calendar(self.seed)

    def cases(self) -> tuple[Case, ...]:
        """What happens in production."""
        return cases(self.of, self.level, self.seed)

    def breakages(self) -> tuple[Happening, ...]:
        """What happens in staging."""
        return breakages(self.of, self.seed)

    def series(self) -> Iterator[Series]:
        """Simulate it, and yield what was scraped."""
        expected = demand(self.of, self.level, self.seed)
        happenings = [*(case.incident for case in self.cases()), *self.breakages()]
        lines = calls.counted(expected, happenings, self.seed)
        return scraped.series(self.of, expected.clock, self.calendar.epoch, lines, self.seed)


def group(site: Site) -> Group:
    """Sites that never close, the others, and of those the ones whose traffic people switch."""
    if site.never_closes:
        return "24/7"
    return "by hand" if site.by_hand else "other"


def runs(purpose: Purpose) -> tuple[SiteRun, ...]:
    """All runs that are declared for a purpose, site by site."""
    return tuple(
        SiteRun(site, level, seed)
        for site, seeds in SEEDS[purpose].items()
        for seed in seeds
        for level in LEVELS
    )


def replayed() -> tuple[SiteRun, ...]:
    """The reported runs that a real Prometheus evaluates too: every site, every level."""
    return runs("reporting")[::_REPLAYED]
