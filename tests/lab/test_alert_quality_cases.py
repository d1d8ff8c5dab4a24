"""The benchmark's sites: their cases stay as committed, seeds are apart, weeks are enough."""

from itertools import pairwise

import pytest

from lab.alert_quality import benign, catalogue
from lab.alert_quality.score import ECHO
from lab.alert_quality.sites import cases
from lab.alert_quality.sites.calendar import MINUTES, SCORED, WARM_UP
from lab.alert_quality.sites.demand import LEVELS, demand
from lab.alert_quality.sites.run import (
    GROUPS,
    LEAST_WEEKS,
    SEEDS,
    Group,
    SiteRun,
    replayed,
    runs,
)
from lab.alert_quality.sites.site import BY_NAME, SITES
from lab.alert_quality.traffic import DIRECTIONS, LEAD, WEEK

_DIGESTS = {
    "hotline": ["b6d6d679be5b7fec", "2038945a8d810715"],
    "evenings": ["3ab3c5b047be7acb", "b86927514d86aafa"],
    "replicas": ["45f4bf3361aa3d05", "58e13f2205397768"],
    "many": ["393e8c61adf29888", "e9283b0e6fe0de57"],
    "contact-centre": ["e7caf38389b752d1", "7ebfa1e08d6ff901"],
    "shop": ["7afc6541aa20896f", "bebdc498e79a782c"],
    "dialler": ["214031910a5e6624", "13a1e2c0ed1f1ed7"],
    "batch": ["3c3532b40cea6193", "923568cce9401be6"],
    "deploys": ["fd992c3a24916574", "edff5d43ede8757a"],
    "environments": ["52ee05ec619c36bb", "10d86c78b22d66a9"],
    "clinic": ["30d2ec2648d9e213", "1a41ad3448a86e98"],
}


@pytest.mark.parametrize("name", _DIGESTS)
def test_cases_are_what_was_committed(name: str) -> None:
    """Nothing that happens is changed after rules were measured on it."""
    site = BY_NAME[name]
    seeds = (SEEDS["tuning"][name][0], SEEDS["reporting"][name][0])
    assert [cases.digest(site, 10, seed) for seed in seeds] == _DIGESTS[name]


def test_every_site_has_digests() -> None:
    """No site is added without its cases being held."""
    assert _DIGESTS.keys() == BY_NAME.keys()


def test_tuning_and_reporting_seeds_are_apart() -> None:
    """No seed serves two ends, those of the catalogue of day and night included."""
    tuning, reporting = (
        {seed for seeds in SEEDS[purpose].values() for seed in seeds}
        for purpose in ("tuning", "reporting")
    )
    assert not tuning & reporting
    before = {
        *catalogue.TUNING_SEEDS,
        *catalogue.REPORTING_SEEDS,
        *catalogue.SENSITIVITY_SEEDS,
        *benign.TUNING_SEEDS,
        *benign.REPORTING_SEEDS,
    }
    assert not before & (tuning | reporting)


def test_reporting_seeds_have_weeks_enough() -> None:
    """Without incidents there are 60 weeks of sites that never close and 30 of those that do.

    At one level, where incidents are the longest; the report refuses to be made of fewer at any.
    """
    weeks: dict[Group, float] = dict.fromkeys(GROUPS, 0.0)
    for run in runs("reporting"):
        if run.level == min(LEVELS):
            weeks[run.group] += _free(run) / WEEK
    assert all(weeks[group] >= least for group, least in LEAST_WEEKS.items())
    assert weeks["by hand"] > 10


def _free(run: SiteRun) -> float:
    happenings = [case.incident for case in run.cases()]
    taken = sum(
        min(one.end + ECHO, MINUTES) - one.start
        for one in happenings
        for direction in DIRECTIONS
        if one.runs_in(direction)
    )
    return SCORED - taken / len(DIRECTIONS)


def test_a_fifth_of_what_is_reported_is_replayed_on_prometheus() -> None:
    """The runs to be replayed are declared too: every site, every level, at least one in five."""
    every, chosen = runs("reporting"), replayed()
    assert len(set(every)) == len(every) == len(LEVELS) * sum(map(len, SEEDS["reporting"].values()))
    assert len(chosen) >= len(every) / 5
    assert {run.site for run in chosen} == set(BY_NAME)
    assert {run.level for run in chosen} == set(LEVELS)


@pytest.mark.parametrize("name", ["hotline", "shop"])
def test_happenings_of_a_direction_never_meet(name: str) -> None:
    """In a direction one is over for two hours before the next begins; each has open minutes."""
    run = SiteRun(name, 60, SEEDS["tuning"][name][0])
    expected = demand(run.of, run.level, run.seed)
    for direction in DIRECTIONS:
        those = [case for case in run.cases() if case.incident.runs_in(direction)]
        for before, after in pairwise(those):
            assert after.incident.start >= before.incident.end + cases.RECOVERY
        for case in those:
            one = case.incident
            assert WARM_UP <= one.start <= case.opened < case.closed <= one.end <= MINUTES
            opened = expected.opened(one.direction)
            assert opened[LEAD + case.opened]
            assert opened[LEAD + case.closed - 1]


def test_all_that_can_happen_does() -> None:
    """Over the tuning seeds of sites that close every sort, course and place is drawn."""
    drawn = [
        case
        for site in SITES
        if not site.never_closes
        for case in SiteRun(site.name, 60, SEEDS["tuning"][site.name][0]).cases()
    ]
    assert {case.sort for case in drawn} >= {
        "account",
        "application",
        "bandwidth",
        "flapping silence",
        "loss of 30%",
        "loss of 50%",
        "loss of 70 % and more",
        "new application",
        "one application's calls lost",
        "short",
        "silence",
        "undocumented cause",
        "user",
    }
    assert {case.incident.course for case in drawn} == {"steady", "ramp", "flapping", "slow burn"}
    assert {case.incident.place for case in drawn} == {
        "anywhere",
        "before the opening",
        "at the opening",
        "over the closing",
    }
    assert {case.incident.direction for case in drawn} == {"inbound", "outbound", "both"}
    assert sum(case.monday for case in drawn) > len(drawn) / 10


def test_sites_have_nothing_in_common() -> None:
    """The same seed at another site or level is other chance."""
    digests = [
        cases.digest(BY_NAME[name], level, 101)
        for name in ("contact-centre", "deploys", "environments")
        for level in (10, 60)
    ]
    assert len(set(digests)) == len(digests)
