"""What became of a site's cases, and which alarms were false."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from lab.alert_quality import score as scoring
from lab.alert_quality.replay import Alarm
from lab.alert_quality.score import CRITICAL, ECHO, LATEST, FalseAlarm
from lab.alert_quality.sites.calendar import MINUTES, WARM_UP
from lab.alert_quality.sites.happening import Case, Happening
from lab.alert_quality.sites.pager import Route, notifications
from lab.alert_quality.sites.site import STAGING
from lab.alert_quality.traffic import DIRECTIONS

DIGEST = "info"
EARLY = 5  # minutes before an incident's end in which its page may resolve


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What became of a case; times in minutes, None where it did not come to that.

    ``told``: from when the site is open to the first right alarm, ``paged``: to the first critical
    one; ``cleared``: from the last minute with calls to expect, or to be hit, to the end of the
    alert that told first, ``resolved``: to that of the last right one; ``held``: whether from the
    first page to five minutes before the end some right page fired without a gap; ``notified``:
    critical notifications in each of its directions; ``named``: whether the first alarm was right.
    """

    told: float | None = None
    paged: float | None = None
    by: str | None = None
    cleared: float | None = None
    resolved: float | None = None
    held: bool | None = None
    notified: tuple[int, ...] = ()
    named: bool | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run: a `Verdict` for each case, in their order."""

    verdicts: tuple[Verdict, ...]
    false_alarms: tuple[FalseAlarm, ...]
    free_weeks: float  # scored time without incident, the mean of both directions
    fired: Mapping[str, int]  # firings of each alert in the scored time, merged, true or false

    @property
    def false_pages(self) -> int:
        """False alarms that wake somebody."""
        return sum(alarm.severity == CRITICAL for alarm in self.false_alarms)


def judge(
    cases: Sequence[Case],
    breakages: Sequence[Happening],
    alarms: Sequence[Alarm],
    pager: Route,
) -> Judgement:
    """Judge the alarms of a run.

    An alarm that says it is of staging is right while something is broken there, and tells nothing
    of production; one that does not say so is of production.
    """
    alarms = [_of_bandwidth(alarm) for alarm in alarms]
    staging = [alarm for alarm in alarms if alarm.labels.get("env") == STAGING]
    production = [alarm for alarm in alarms if alarm.labels.get("env") != STAGING]
    score = scoring.score(cases, production, WARM_UP, MINUTES)
    every = scoring.merged([one for one in production if _false(one, cases)], MINUTES)
    assert len(every) == score.false_any, "the same alarms are false here and there"
    beside = [
        alarm for alarm in staging if alarm.start >= WARM_UP and not _broken(alarm, breakages)
    ]
    pages = [alarm for alarm in production if alarm.labels.get("severity") == CRITICAL]
    sent = notifications(pager, pages, MINUTES)
    verdicts = []
    for case, found in zip(cases, score.found, strict=True):
        one = case.incident
        notified = tuple(
            sum(
                one.start <= note.at < one.end + ECHO
                and note.group.get("direction", direction) == direction
                for note in sent
            )
            for direction in DIRECTIONS
            if one.runs_in(direction)
        )
        # What is read once a day tells nobody of an incident, nor of its end.
        right = [a for a in production if is_right(a, one) and a.labels["severity"] != DIGEST]
        verdict = _verdict(case, right, notified)
        verdicts.append(msgspec.structs.replace(verdict, named=found.named))
    late = [alarm for alarm in alarms if alarm.start >= WARM_UP]
    return Judgement(
        verdicts=tuple(verdicts),
        false_alarms=(*every, *scoring.merged(beside, MINUTES)),
        free_weeks=score.free_weeks,
        fired=Counter(one.alert for one in scoring.merged(late, MINUTES)),
    )


def is_right(alarm: Alarm, one: Happening) -> bool:
    """Whether an alarm tells of an incident: of its kind and direction, begun while it lasts."""
    direction, application = (alarm.labels.get(name) for name in ("direction", "application"))
    return (
        scoring.kind(alarm) == one.kind
        and one.start <= alarm.start <= one.end + LATEST
        and (direction is None or one.runs_in(direction))
        and (None in {application, one.application} or application == one.application)
    )


def _verdict(case: Case, right: Sequence[Alarm], notified: tuple[int, ...]) -> Verdict:
    if not right:
        return Verdict(notified=notified)
    first = min(right, key=lambda alarm: alarm.start)
    name = first.labels["alertname"]
    pages = [alarm for alarm in right if alarm.labels.get("severity") == CRITICAL]
    return Verdict(
        told=_after(first.start, case.opened),
        paged=_after(min(page.start for page in pages), case.opened) if pages else None,
        by=name,
        cleared=_after(
            max(_until(one) for one in right if one.labels["alertname"] == name), case.faded
        ),
        resolved=_after(max(_until(one) for one in right), case.faded),
        held=_held(pages, case.closed - EARLY) if pages else None,
        notified=notified,
    )


def _held(pages: Sequence[Alarm], end: float) -> bool:
    reached = min(page.start for page in pages)
    for page in sorted(pages, key=lambda page: page.start):
        if page.start > reached:
            break
        reached = max(reached, _until(page))
    return reached >= end


def _of_bandwidth(alarm: Alarm) -> Alarm:
    # Who answers for a cause that is not documented is who sent it.
    if alarm.labels.get("fault_domain") != "unclassified":
        return alarm
    return Alarm({**alarm.labels, "fault_domain": "bandwidth"}, alarm.start, alarm.end)


def _false(alarm: Alarm, cases: Sequence[Case]) -> bool:
    direction = alarm.labels.get("direction")
    return alarm.start >= WARM_UP and not any(
        (direction is None or case.incident.runs_in(direction)) and _overlaps(alarm, case.incident)
        for case in cases
    )


def _broken(alarm: Alarm, breakages: Sequence[Happening]) -> bool:
    return any(_overlaps(alarm, one) for one in breakages)


def _overlaps(alarm: Alarm, one: Happening) -> bool:
    return alarm.start < one.end + ECHO and _until(alarm) > one.start


def _until(alarm: Alarm) -> float:
    return float(MINUTES) if alarm.end is None else alarm.end


def _after(moment: float, than: float) -> float:
    return round(max(0.0, moment - than), 2)
