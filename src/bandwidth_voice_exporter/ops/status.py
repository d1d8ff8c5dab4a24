"""What the status page says: is Bandwidth reaching the exporter, how do calls end, is it kept."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec

from bandwidth_voice_exporter.metrics import (
    DUPLICATE,
    IGNORED,
    UNAUTHENTICATED,
    Instruments,
    Tally,
    catalog,
)
from bandwidth_voice_exporter.ops import chart, formats
from bandwidth_voice_exporter.ops.history import History
from bandwidth_voice_exporter.voice import HANGUP, WANTS_BXML, fault_domain

MEANINGS: Mapping[str, str] = {
    "unauthenticated": "No credentials, and no event with them followed: enter them at Bandwidth "
    "(CallbackCreds of the application, username and password of a call), or see whether a proxy "
    "takes the Authorization header off.",
    "unauthorized": "Wrong credentials: compare those that Bandwidth has (CallbackCreds of the "
    "application, username and password of a call) with the exporter's.",
    "malformed": "Not a JSON object, or a GET without a query: often a browser.",
    "too_large": "Larger than --webhook.max-body-bytes.",
    "method": "Neither POST nor GET.",
    "path": "Not the webhook's path: a mistake in a URL, or a stranger who looks around.",
    "aborted": "Whoever sent it went away before it was whole.",
    "internal": "A mistake in the exporter; the log says where. It was not answered.",
    "http": "Not HTTP: https sent to a listener without TLS, for example.",
    "headers": "Headers that are too many or too large.",
    "timeout": "It did not come in time.",
    "overload": "Closed to make room for other connections.",
}

_PERCENTS = (50, 95, 99)


class Cause(msgspec.Struct, frozen=True):
    """How many calls ended for a cause, in the last hour and in all."""

    name: str
    fault_domain: str
    hour: int
    total: int


class Application(msgspec.Struct, frozen=True):
    """An application's calls in all, and when its last event came (microseconds; 0 is never)."""

    name: str
    calls: int
    failed: int
    last_event: int


class Rejection(msgspec.Struct, frozen=True):
    """Requests that gave no event for a reason, since the start; ``last`` in microseconds."""

    reason: str
    meaning: str
    count: int
    last: int


class Kept(msgspec.Struct, frozen=True):
    """How long calls are kept, in seconds."""

    failures: float
    normal: float


class Durability(msgspec.Struct, frozen=True):
    """Where the ledger stands; ``kept`` is None where there is none on a disk."""

    is_up: bool
    kept: Kept | None
    rows: int
    bytes: int
    not_recorded: int


class Status(msgspec.Struct, frozen=True):
    """Everything on the page; times in microseconds since 1970.

    ``questions`` are requests without credentials that events with them followed.
    ``delays`` pairs a percentage of the last hour's events with the seconds that it came within;
    None is more than was measured.
    """

    now: int
    since: int
    last_event: int
    delays: Sequence[tuple[int, float | None]]
    chart: chart.Chart
    causes: Sequence[Cause]
    applications: Sequence[Application]
    rejections: Sequence[Rejection]
    questions: int
    ignored: int
    duplicates: int
    durability: Durability
    warnings: Sequence[str]


def describe(  # noqa: PLR0913  # what is known, each by name
    *,
    now: int,
    tally: Tally,
    history: History,
    counted: Instruments,
    names: Mapping[str, str],
    kept: Kept | None,
) -> Status:
    """Put together what is known at a time in microseconds; ``names`` by application id."""
    events: Counter[str] = Counter()
    wanting_bxml = []
    for (event_type, result), value in counted.values(catalog.EVENTS).items():
        events[result] += int(value)
        if value and result == IGNORED and event_type in WANTS_BXML:
            wanting_bxml.append(event_type)
    durability = Durability(
        is_up=_one(counted, catalog.LEDGER_UP) == 1,
        kept=kept,
        rows=int(_one(counted, catalog.LEDGER_ROWS)),
        bytes=int(_one(counted, catalog.LEDGER_BYTES)),
        not_recorded=int(_one(counted, catalog.LEDGER_NOT_RECORDED)),
    )
    applications = _applications(tally, names)
    # A question is no refusal once events with credentials come, as they do after it.
    is_answered = events.total() > 0 and not counted.is_unanswered
    asked = counted.values(catalog.REJECTED)[(UNAUTHENTICATED,)] if is_answered else 0
    minutes = history.minutes()
    return Status(
        now=now,
        since=history.since,
        last_event=max((one.last_event for one in applications), default=0),
        delays=_delays(history.delays()),
        chart=chart.draw(minutes),
        causes=_causes(tally, [minute.causes or {} for minute in minutes]),
        applications=applications,
        rejections=_rejections(counted, leaving_out=UNAUTHENTICATED if is_answered else ""),
        questions=int(asked),
        ignored=events[IGNORED],
        duplicates=events[DUPLICATE],
        durability=durability,
        warnings=tuple(_warnings(counted, durability, wanting_bxml)),
    )


def _one(counted: Instruments, metric: catalog.Metric) -> float:
    return counted.values(metric)[()]


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
    totals: Counter[str] = Counter()
    for (_, _, cause, *_), count in tally.counts[catalog.CALLS.name].items():
        totals[cause] += count.value
    names = {name for name in (*totals, *recent) if totals[name] or recent[name]}
    causes = [Cause(name, fault_domain(name), recent[name], totals[name]) for name in names]
    return sorted(causes, key=lambda one: (-one.hour, -one.total, one.name))


def _applications(tally: Tally, names: Mapping[str, str]) -> list[Application]:
    """Return the applications that had a call or have a name, the last heard of first."""
    calls: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for (identifier, _, cause, *_), count in tally.counts[catalog.CALLS.name].items():
        calls[identifier] += count.value
        failed[identifier] += count.value if cause != HANGUP else 0
    last = {key[0]: count.value for key, count in tally.counts[catalog.LAST_EVENT.name].items()}
    applications = [
        Application(names.get(one, one), calls[one], failed[one], last.get(one, 0))
        for one in calls
        if calls[one] or one in names
    ]
    return sorted(applications, key=lambda one: (-one.last_event, one.name))


def _rejections(counted: Instruments, *, leaving_out: str) -> list[Rejection]:
    """Return the reasons that there were but for one, the last one first."""
    rejections = [
        Rejection(reason, MEANINGS[reason], int(count), counted.last_rejections.get(reason, 0))
        for (reason,), count in counted.values(catalog.REJECTED).items()
        if count and reason != leaving_out
    ]
    return sorted(rejections, key=lambda one: -one.last)


def _warnings(
    counted: Instruments, durability: Durability, wanting_bxml: Sequence[str]
) -> Iterator[str]:
    if not durability.is_up:
        yield (
            "Not durable: the ledger cannot be written. Calls are counted in memory, and are lost "
            "if the exporter is killed before the disk works again. The log says why."
        )
    if _one(counted, catalog.LEDGER_WAL_HELD):
        length = formats.size(_one(counted, catalog.LEDGER_WAL_BYTES))
        yield (
            f"The ledger's write-ahead log is {length} long and grows, since a reader of the "
            f"ledger stays (a shell with an open query, a backup): end it, or the disk fills up. "
            f"Calls are recorded meanwhile."
        )
    if durability.kept is None:
        yield (
            "In memory only (--storage.path is empty): counters begin at 0 with each start, and "
            "failed calls cannot be looked up."
        )
    if counted.is_unanswered:
        yield (
            "Requests come without credentials, and none with them: these events are lost. Enter "
            "the credentials at Bandwidth; if they are there, a proxy takes them off."
        )
    if wanting_bxml:
        yield (
            f"Events that want BXML came in ({', '.join(sorted(wanting_bxml))}), which an exporter "
            f"cannot give: a call whose answerUrl leads here ends. Only the URLs of disconnect "
            f"events belong here."
        )
    if _one(counted, catalog.CREDENTIALS_LOADED) != 1:
        yield "The credentials file cannot be used: the old credentials stay. The log says why."
    for (listener,), loaded in counted.values(catalog.WEB_CONFIG_LOADED).items():
        if loaded != 1:
            yield (
                f"The web configuration of the {listener} listener cannot be used: the old one "
                f"stays. The log says why."
            )
