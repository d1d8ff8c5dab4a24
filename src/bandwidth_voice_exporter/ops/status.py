"""The status page: is Bandwidth reaching the exporter, how do calls end, are they kept."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec

from bandwidth_voice_exporter.http import Client
from bandwidth_voice_exporter.ledger import Replica
from bandwidth_voice_exporter.metrics import (
    DUPLICATE,
    IGNORED,
    PASSED,
    Instruments,
    Tally,
    catalog,
)
from bandwidth_voice_exporter.ops import chart, formats
from bandwidth_voice_exporter.ops.comparison import Comparison, comparison_of
from bandwidth_voice_exporter.ops.comparison import warnings as comparison_warnings
from bandwidth_voice_exporter.ops.durability import Durability, durability_of
from bandwidth_voice_exporter.ops.durability import warnings as durability_warnings
from bandwidth_voice_exporter.ops.handlers import HandlerState, handlers_of
from bandwidth_voice_exporter.ops.handlers import warnings as handler_warnings
from bandwidth_voice_exporter.ops.history import History
from bandwidth_voice_exporter.ops.kept import Kept
from bandwidth_voice_exporter.ops.rejections import Rejection, questions_of, rejections_of
from bandwidth_voice_exporter.voice import HANGUP, WANTS_BXML, fault_domain, labels

_PERCENTS = (50, 95, 99)
_TO_ACT_ON = ("application", "account", "bandwidth")


class Cause(msgspec.Struct, frozen=True):
    """How many calls ended for a cause, in the last hour and in all."""

    name: str
    fault_domain: str
    hour: int
    total: int


class ApplicationCalls(msgspec.Struct, frozen=True):
    """An application's calls in all, and when its last event came (microseconds; 0 is never).

    ``is_one`` is False for applications that the cap put together.
    """

    name: str
    is_one: bool
    calls: int
    failed: int
    last_event: int


class Status(msgspec.Struct, frozen=True):
    """Everything on the page; times in microseconds since 1970.

    ``questions`` are requests without credentials while events with them come, and ``unfollowed``
    those of them that are more than the events: not each was followed by one.
    ``delays`` pairs a percentage of the last hour's events with the seconds that it came within;
    None is more than was measured.
    """

    now: int
    since: int
    delays: Sequence[tuple[int, float | None]]
    chart: chart.Chart
    causes: Sequence[Cause]
    applications: Sequence[ApplicationCalls]
    rejections: Sequence[Rejection]
    handlers: Sequence[HandlerState]
    questions: int
    unfollowed: int
    ignored: int
    passed: int
    duplicates: int
    durability: Durability
    comparison: Comparison | None
    warnings: Sequence[str]
    clients: Sequence[Client]

    @property
    def last_event(self) -> int:
        """When the last event came (microseconds; 0 is never)."""
        return max((one.last_event for one in self.applications), default=0)

    @property
    def to_act_on(self) -> int:
        """The last hour's failures that are neither the people's on the line nor unknown."""
        return sum(one.hour for one in self.causes if one.fault_domain in _TO_ACT_ON)


def describe(  # noqa: PLR0913  # its parts, each by name
    *,
    now: int,
    tally: Tally,
    history: History,
    instruments: Instruments,
    names: Mapping[str, str],
    kept: Kept | None,
    clients: Sequence[Client] = (),
    replicas: Sequence[Replica] = (),
) -> Status:
    """Put together the status at a time in microseconds; ``names`` by application id."""
    events = instruments.by(catalog.EVENTS, "result")
    durability = durability_of(instruments, kept, replicas)
    handlers, comparison = handlers_of(instruments), comparison_of(instruments)
    questions, minutes = questions_of(instruments), history.minutes()
    return Status(
        now=now,
        since=history.since,
        delays=_delays(history.delays()),
        chart=chart.draw(minutes),
        causes=_causes(tally, [minute.causes or {} for minute in minutes]),
        applications=_applications(tally, names),
        rejections=rejections_of(instruments, questions),
        questions=questions.asked,
        unfollowed=questions.unfollowed,
        handlers=handlers,
        ignored=int(events[IGNORED]),
        passed=int(events.get(PASSED, 0)),
        duplicates=int(events[DUPLICATE]),
        durability=durability,
        comparison=comparison,
        warnings=(
            *durability_warnings(instruments, durability),
            *_warnings(instruments),
            *comparison_warnings(comparison),
            *handler_warnings(handlers),
        ),
        clients=clients,
    )


def _delays(counts: Sequence[int]) -> list[tuple[int, float | None]]:
    whole = sum(counts)
    if not whole:
        return []
    bounds = (*catalog.DELAY.buckets, None)
    sums = list(accumulate(counts))
    return [
        (percent, next(b for b, s in zip(bounds, sums, strict=True) if 100 * s >= percent * whole))
        for percent in _PERCENTS
    ]


def _causes(tally: Tally, hour: Sequence[Mapping[str, int]]) -> list[Cause]:
    """Return what calls ended for, most in the last hour first."""
    recent: Counter[str] = Counter()
    for minute in hour:
        recent.update(minute)
    totals = tally.by_cause()
    names = {name for name in (*totals, *recent) if totals[name] or recent[name]}
    causes = [Cause(name, fault_domain(name), recent[name], totals[name]) for name in names]
    return sorted(causes, key=lambda one: (-one.hour, -one.total, one.name))


def _applications(tally: Tally, names: Mapping[str, str]) -> list[ApplicationCalls]:
    """Return the applications that had a call or have a name, those with most failures first."""
    last = tally.last_events()
    applications = [
        ApplicationCalls(
            names.get(one, one),
            one != labels.OTHER,
            causes.total(),
            causes.total() - causes[HANGUP],
            last.get(one, 0),
        )
        for one, causes in tally.by_application().items()
        if causes.total() or one in names
    ]
    return sorted(applications, key=lambda one: (-one.failed, formats.natural(one.name)))


def _warnings(instruments: Instruments) -> Iterator[str]:
    if instruments.is_unanswered:
        yield (
            "Requests come without credentials, and none with them: these events are lost. Enter "
            "the credentials at Bandwidth; if they are there, a proxy takes them off."
        )
    ignored = instruments.by(catalog.EVENTS, "event_type", result=IGNORED)
    if wanting_bxml := [one for one in WANTS_BXML if ignored.get(one)]:
        yield (
            f"Events that want BXML came in ({', '.join(sorted(wanting_bxml))}), which an exporter "
            f"cannot give: a call whose answerUrl leads here ends. Only the URLs of disconnect "
            f"events belong here."
        )
    if instruments.one(catalog.CREDENTIALS_LOADED) != 1:
        yield "The credentials file cannot be used: the old credentials stay. The log says why."
    for listener, loaded in instruments.by(catalog.WEB_CONFIG_LOADED, "listener").items():
        if loaded != 1:
            yield (
                f"The web configuration of the {listener} listener cannot be used: the old one "
                f"stays. The log says why."
            )
