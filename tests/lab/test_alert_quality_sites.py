"""The sites of the benchmark: their clocks and hours, their calls, and what is scraped of them."""

import math
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import CAUSES, UNCLASSIFIED
from lab.alert_quality.incident import FLOW
from lab.alert_quality.samples import STALE, Series
from lab.alert_quality.sites import calls, scraped
from lab.alert_quality.sites.calendar import CALENDARS, MINUTES, WARM_UP, Calendar, clock
from lab.alert_quality.sites.demand import Demand, demand
from lab.alert_quality.sites.happening import Course, Happening
from lab.alert_quality.sites.hours import Hours, daily
from lab.alert_quality.sites.site import BY_NAME, SITES, STAGING, Site
from lab.alert_quality.traffic import DAY, HOUR, LEAD, Character, Floats

_SEED = 1
_STEADY = Character(
    day_volume=0.0,
    application_volume=0.0,
    hour_volume=0.0,
    standing_share=0.0,
    drifting_share=0.0,
    own_drifting_share=0.0,
    daily_share=0.0,
)
_STRAYED = 4.5  # standard errors; a true hypothesis is that far off once in 150,000 times
_GONE = STALE.view(np.uint64)


@cache
def _demand(name: str, level: int = 10) -> Demand:
    return demand(BY_NAME[name], level, _SEED)


def _few(name: str, *applications: str) -> Site:
    """A site with some of its applications, so that it is quickly simulated."""
    site = BY_NAME[name]
    lines = tuple(line for line in site.lines if line.application in applications)
    return msgspec.structs.replace(site, lines=lines)


def _opening(expected: Demand) -> int:
    """The first open minute of a scored workday."""
    opened = expected.opened("inbound")[LEAD + WARM_UP + 5 * DAY :]
    return WARM_UP + 5 * DAY + 1 + int(np.argmax(opened[1:] & ~opened[:-1]))


def _series(
    site: Site, happenings: tuple[Happening, ...] = (), level: int = 10
) -> dict[str, list[Series]]:
    """Everything that was scraped, by the name of the metric."""
    expected = demand(site, level, _SEED)
    epoch = site.calendar(_SEED).epoch
    found: dict[str, list[Series]] = {}
    lines = calls.counted(expected, happenings, _SEED)
    for one in scraped.series(site, expected.clock, epoch, lines, _SEED):
        found.setdefault(one.labels["__name__"], []).append(one)
    return found


def _counts(series: Series) -> Floats:
    """Its samples without the markers that say it is gone."""
    kept: Floats = series.values[series.values.view(np.uint64) != _GONE]
    return kept


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda one: f"{one.zone} {one.first}")
def test_clock_is_the_zone_s(calendar: Calendar) -> None:
    """Minutes, weekdays and days are those of the zone, whose clocks change in the scored weeks."""
    told = clock(calendar)
    zone = ZoneInfo(calendar.zone)
    offsets = set()
    for minute in range(-LEAD, MINUTES, 7 * HOUR + 1):
        there = datetime.fromtimestamp(calendar.epoch / 1000 + 60 * minute, zone)
        at = told.at(minute)
        assert told.minute[at] == there.hour * HOUR + there.minute
        assert told.weekday[at] == there.weekday()
        assert told.holiday[at] == (there.date() in calendar.holidays)
        if minute >= WARM_UP:
            offsets.add(there.utcoffset())
    assert len(offsets) == 2


def test_day_after_a_holiday_is_the_next_that_is_open() -> None:
    """After Easter that is Tuesday, after a Friday and a Saturday it is Monday."""
    for calendar, day in ((CALENDARS[0], date(2025, 4, 22)), (CALENDARS[1], date(2025, 11, 3))):
        told = clock(calendar)
        after = told.day[told.after_holiday]
        assert set(after.tolist()) == {(day - calendar.first).days}


def test_hours_close() -> None:
    """Hard hours are all or nothing, soft ones begin and end gradually, holidays are closed."""
    told = clock(CALENDARS[0])
    hard = Hours(week=daily(9, 18), soft=False).shape(told)
    soft = Hours(week=daily(9, 18), trickle=0.01).shape(told)
    workday = (told.weekday < 5) & ~told.holiday
    inside = workday & (told.minute >= 9 * HOUR) & (told.minute < 18 * HOUR)
    assert ((hard > 0) == inside).all()
    assert hard[inside].min() > 0.5
    assert (soft[~inside] == 0.01).all()
    assert soft[inside & (told.minute < 9 * HOUR + 5)].max() < 0.15
    assert soft[inside & (told.minute >= 18 * HOUR - 5)].max() < 0.15


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_level_is_the_mean_rate_over_open_hours(site: Site) -> None:
    """A site has its level while it is open, whatever it has when it is closed."""
    expected = demand(site, 60, _SEED)
    opened = expected.opened("both")
    assert expected.of("both")[opened].mean() == pytest.approx(60)
    assert opened.all() == site.never_closes


def test_growth_is_a_week_s() -> None:
    """A growing site has the same share more each week."""
    rate = _demand("shop").of("both")
    first, later = (rate[LEAD + day * 24 * HOUR :][: 24 * HOUR].sum() for day in (0, 7))
    assert later / first == pytest.approx(1.06, rel=0.01)


def test_campaigns_are_switched() -> None:
    """A campaign is on or off from one minute to the next, at other times each week."""
    site = BY_NAME["dialler"]
    expected = _demand("dialler")
    (place,) = [n for n, line in enumerate(site.lines) if line.application == "campaign-a"]
    on = expected.line(place) > 0
    begins = np.flatnonzero(on[1:] & ~on[:-1])
    assert begins.size > 20
    assert np.unique(begins % (7 * 24 * HOUR)).size == begins.size
    assert expected.line(place)[begins + 1].min() > 0.4 * expected.line(place).max() / 1.5


@pytest.mark.parametrize("course", ["ramp", "flapping"])
def test_happening_changes_as_many_calls_as_it_is_expected_to(course: Course) -> None:
    """Lost calls, of whatever course, are as many as the strength of its minutes says."""
    one = Happening(
        kind=FLOW,
        cause=None,
        share=0.6,
        start=_opening(_demand("contact-centre")),
        length=8 * HOUR,
        application=None,
        direction="inbound",
        course=course,
    )
    steady = msgspec.structs.replace(_few("contact-centre", "orders"), character=_STEADY)
    expected = demand(steady, 10, _SEED)
    during = slice(LEAD + one.start, LEAD + one.end)
    lost = float((expected.of("inbound")[during] * one.strength()).sum())
    ends = slice(one.start, one.end + 4 * HOUR)
    without, left = (
        sum(int(line.total[ends].sum()) for line in calls.counted(expected, happenings, _SEED))
        for happenings in ((), (one,))
    )
    assert lost > 500
    assert abs(without - left - lost) < _STRAYED * math.sqrt(without + left)


def test_daily_deploys_miss_two_scrapes_and_lose_what_comes() -> None:
    """At a quarter past twelve on the wall two scrapes fail, and no call is counted meanwhile."""
    site = _few("deploys", "orders")
    found = _series(site)
    (up,) = found["up"]
    down = np.flatnonzero(up.values == 0)
    assert down.size == 2 * (MINUTES // DAY)
    minute = clock(site.calendar(_SEED)).minute[LEAD:][down]
    assert set(minute.tolist()) == {12 * HOUR + 15, 12 * HOUR + 16}
    grown = sum(_counts(one)[-1] for one in found[catalog.CALLS.name])
    (line,) = calls.counted(demand(site, 10, _SEED), (), _SEED)
    lost = int(line.total[down - 1].sum())
    assert lost > 100
    assert grown == line.total.sum() - lost


def test_replaced_replicas_go_on_or_begin_anew() -> None:
    """Of three replicas two are replaced; one keeps its counters, the other begins at zero."""
    site = _few("replicas", "hotline")
    found = _series(site)
    by_instance: dict[str, list[Series]] = {}
    for one in found[catalog.CALLS.name]:
        by_instance.setdefault(one.labels["instance"], []).append(one)
    assert len(by_instance) == 5
    ends, begins = {}, {}
    for instance, some in by_instance.items():
        ends[instance] = sum(_counts(one)[-1] for one in some)
        begins[instance] = sum(_counts(one)[0] for one in some)
    old = "exporter-production-1:9000"
    kept = begins["exporter-production-1-new:9000"] - ends[old]
    assert 0 <= kept < 50  # what came between the two scrapes
    assert ends[old] > 1000
    assert begins["exporter-production-2-new:9000"] < 50
    assert ends["exporter-production-2:9000"] > 1000
    lines = calls.counted(demand(site, 10, _SEED), (), _SEED)
    total = sum(int(line.total.sum()) for line in lines)
    last = ("exporter-production-0:9000", "exporter-production-1-new:9000")
    assert sum(ends[one] for one in last) / total == pytest.approx(2 / 3, abs=0.03)


def test_environments_share_a_job_and_have_a_label() -> None:
    """Production and staging share a job and differ in `env`; other sites have no such label."""
    found = _series(_few("environments", "orders"))
    labels = [one.labels for some in found.values() for one in some]
    assert {(one["job"], one["env"]) for one in labels} == {
        ("bandwidth-voice", "production"),
        ("bandwidth-voice", STAGING),
    }
    (up,) = _series(_few("clinic", "reminders"), level=1)["up"]
    assert "env" not in up.labels


def test_undocumented_cause_is_born_with_its_first_call() -> None:
    """Its series begins at 0 at the first scrape after that, in the domain of none."""
    one = Happening(
        kind="bandwidth",
        cause="media-timeout",
        share=0.5,
        start=_opening(_demand("contact-centre")) + HOUR,
        length=3 * HOUR,
        application="orders",
        direction="inbound",
    )
    site = _few("contact-centre", "orders")
    new = [
        series
        for series in _series(site, (one,))[catalog.CALLS.name]
        if series.labels["cause"] not in CAUSES
    ]
    assert {series.labels["answered"] for series in new} == {"true", "false"}
    for series in new:
        assert series.labels["fault_domain"] == UNCLASSIFIED
        assert series.labels["cause"] == "media-timeout"
        first = (series.times[0] - site.calendar(_SEED).epoch) // 60_000
        assert one.start < first <= one.end
        assert series.values[0] == 0
        assert series.values[1] > 0


def test_new_application_has_no_series_before_its_first_call() -> None:
    """All its series of documented causes are born together, at 0."""
    site = _few("batch", "newcomer", "team-26")
    new = [
        series
        for series in _series(site)[catalog.CALLS.name]
        if series.labels["application"] == "newcomer"
    ]
    (begins,) = {line.begins for line in site.lines if line.application == "newcomer"}
    first = {int(series.times[0]) for series in new}
    assert len(first) == 1
    assert first.pop() >= site.calendar(_SEED).epoch + 60_000 * begins
    assert {float(series.values[0]) for series in new} == {0.0}


def test_last_event_is_in_the_minute_before_it_was_scraped() -> None:
    """The time of an application's last call is when its counter last grew."""
    found = _series(_few("clinic", "reminders"), level=1)
    (last,) = found[scraped.LAST_EVENT]
    grown = np.sum([np.diff(one.values, prepend=0.0) for one in found[catalog.CALLS.name]], axis=0)
    some = grown[-last.values.size :] > 0
    age = last.times / 1000 - last.values
    assert age[some].min() >= 0
    assert age[some].max() <= 60
    assert age[~some].min() > 60
