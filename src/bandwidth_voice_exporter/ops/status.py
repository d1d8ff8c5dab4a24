"""What the status page says: is Bandwidth reaching the exporter, how do calls end, is it kept."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec

from bandwidth_voice_exporter.http import Client
from bandwidth_voice_exporter.metrics import (
    DUPLICATE,
    IGNORED,
    PASSED,
    UNAUTHENTICATED,
    Instruments,
    Tally,
    catalog,
)
from bandwidth_voice_exporter.ops import chart, formats
from bandwidth_voice_exporter.ops.history import History
from bandwidth_voice_exporter.ops.kept import Kept
from bandwidth_voice_exporter.voice import HANGUP, SECOND, WANTS_BXML, fault_domain, labels

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
_STRAY = 5  # visits without credentials that are nobody's loss
_COVERED = 0.99
_TO_ACT_ON = ("application", "account", "bandwidth")


class Cause(msgspec.Struct, frozen=True):
    """How many calls ended for a cause, in the last hour and in all."""

    name: str
    fault_domain: str
    hour: int
    total: int


class Application(msgspec.Struct, frozen=True):
    """An application's calls in all, and when its last event came (microseconds; 0 is never).

    ``is_one`` is False of those that the cap put together.
    """

    name: str
    is_one: bool
    calls: int
    failed: int
    last_event: int


class Rejection(msgspec.Struct, frozen=True):
    """Requests that gave no event for a reason, since the start; ``last`` in microseconds."""

    reason: str
    meaning: str
    count: int
    last: int


class Handler(msgspec.Struct, frozen=True):
    """What a path's requests are passed on to, since the start; ``failed`` had no answer.

    ``errors`` are answers of 500 and above; ``reasons`` why there was none.
    """

    route: str
    is_up: bool
    answered: int
    errors: int
    failed: int
    reasons: Sequence[str]
    in_flight: int


class Comparison(msgspec.Struct, frozen=True):
    """How the ledger stands beside Bandwidth's list of calls, since the start.

    It was last compared at ``last``, up to calls that started ``before``; 0 is never. Of ``others``
    it cannot be said, and ``uncovered`` is what webhooks do not tell of, or not always.
    """

    last: int
    before: int
    listed: int
    counted: int
    recorded: int
    missed: int
    others: int
    uncovered: Sequence[str]


class Durability(msgspec.Struct, frozen=True):
    """Where the ledger stands; ``kept`` is None where there is none on a disk."""

    is_up: bool
    kept: Kept | None
    rows: int
    bytes: int
    not_recorded: int


class Status(msgspec.Struct, frozen=True):
    """Everything on the page; times in microseconds since 1970.

    ``questions`` are requests without credentials while events with them come, and ``unfollowed``
    those of them that are more than the events: not each was followed by one.
    ``delays`` pairs a percentage of the last hour's events with the seconds that it came within;
    None is more than was measured. ``to_act_on`` are the last hour's failures that somebody must
    act on: whose fault is not that of the people on the line, nor unknown.
    """

    now: int
    since: int
    last_event: int
    delays: Sequence[tuple[int, float | None]]
    chart: chart.Chart
    to_act_on: int
    causes: Sequence[Cause]
    applications: Sequence[Application]
    rejections: Sequence[Rejection]
    handlers: Sequence[Handler]
    questions: int
    unfollowed: int
    ignored: int
    passed: int
    duplicates: int
    durability: Durability
    comparison: Comparison | None
    warnings: Sequence[str]
    clients: Sequence[Client]


def describe(  # noqa: PLR0913  # what is known, each by name
    *,
    now: int,
    tally: Tally,
    history: History,
    counted: Instruments,
    names: Mapping[str, str],
    kept: Kept | None,
    clients: Sequence[Client] = (),
) -> Status:
    """Put together what is known at a time in microseconds; ``names`` by application id."""
    events = counted.by(catalog.EVENTS, "result")
    ignored = counted.by(catalog.EVENTS, "event_type", result=IGNORED)
    wanting_bxml = [event_type for event_type in WANTS_BXML if ignored.get(event_type)]
    durability = Durability(
        is_up=counted.one(catalog.LEDGER_UP) == 1,
        kept=kept,
        rows=int(counted.one(catalog.LEDGER_ROWS)),
        bytes=int(counted.one(catalog.LEDGER_BYTES)),
        not_recorded=int(counted.one(catalog.LEDGER_NOT_RECORDED)),
    )
    applications = _applications(tally, names)
    handlers = _handlers(counted)
    # A question is no refusal once events with credentials come, as they do after it.
    is_answered = sum(events.values()) > 0 and not counted.is_unanswered
    asked = counted.by(catalog.REJECTED, "reason")[UNAUTHENTICATED] if is_answered else 0
    unfollowed = int(asked - sum(events.values()))
    comparison = _comparison(counted)
    minutes = history.minutes()
    causes = _causes(tally, [minute.causes or {} for minute in minutes])
    return Status(
        now=now,
        since=history.since,
        last_event=max((one.last_event for one in applications), default=0),
        delays=_delays(history.delays()),
        chart=chart.draw(minutes),
        to_act_on=sum(one.hour for one in causes if one.fault_domain in _TO_ACT_ON),
        causes=causes,
        applications=applications,
        rejections=_rejections(counted, leaving_out=UNAUTHENTICATED if is_answered else ""),
        questions=int(asked),
        unfollowed=unfollowed if unfollowed > _STRAY else 0,
        handlers=handlers,
        ignored=int(events[IGNORED]),
        passed=int(events.get(PASSED, 0)),
        duplicates=int(events[DUPLICATE]),
        durability=durability,
        comparison=comparison,
        warnings=(
            *_warnings(counted, durability, wanting_bxml),
            *_comparison_warnings(comparison),
            *_handler_warnings(handlers),
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


def _applications(tally: Tally, names: Mapping[str, str]) -> list[Application]:
    """Return the applications that had a call or have a name, those with most failures first."""
    last = tally.last_events()
    applications = [
        Application(
            names.get(one, one),
            one != labels.OTHER,
            causes.total(),
            causes.total() - causes[HANGUP],
            last.get(one, 0),
        )
        for one, causes in tally.by_application().items()
        if causes.total() or one in names
    ]
    return sorted(applications, key=lambda one: (-one.failed, one.name))


def _rejections(counted: Instruments, *, leaving_out: str) -> list[Rejection]:
    """Return the reasons that there were but for one, the last one first."""
    rejections = [
        Rejection(reason, MEANINGS[reason], int(count), counted.last_rejections.get(reason, 0))
        for reason, count in counted.by(catalog.REJECTED, "reason").items()
        if count and reason != leaving_out
    ]
    return sorted(rejections, key=lambda one: -one.last)


def _handlers(counted: Instruments) -> list[Handler]:
    """Return the handlers in the order of their paths."""
    answers = counted.values(catalog.FORWARD_REQUESTS).items()
    failures = counted.values(catalog.FORWARD_FAILURES).items()
    waiting = counted.values(catalog.FORWARD_IN_FLIGHT)
    return [
        Handler(
            route=route,
            is_up=is_up == 1,
            answered=int(sum(count for (of, _), count in answers if of == route)),
            errors=int(
                sum(count for (of, code), count in answers if of == route and code[0] == "5")
            ),
            failed=int(sum(count for (of, _), count in failures if of == route)),
            reasons=[reason for (of, reason), count in failures if of == route and count],
            in_flight=int(waiting[(route,)]),
        )
        for (route,), is_up in sorted(counted.values(catalog.FORWARD_UP).items())
    ]


def _comparison(counted: Instruments) -> Comparison | None:
    """Return what is known of it where it is asked for."""
    calls = counted.by(catalog.RECONCILE_CALLS, "verdict")
    if not calls:
        return None
    known = {verdict: int(calls[verdict]) for verdict in ("counted", "recorded", "missed")}
    listed = int(sum(calls.values()))
    coverage = counted.values(catalog.RECONCILE_COVERAGE).items()
    return Comparison(
        last=round(counted.one(catalog.RECONCILE_SUCCESS) * SECOND),
        before=round(counted.one(catalog.RECONCILE_COMPARED) * SECOND),
        listed=listed,
        others=listed - sum(known.values()),
        uncovered=[" ".join(key) for key, ratio in sorted(coverage) if ratio < _COVERED],
        **known,
    )


def _comparison_warnings(comparison: Comparison | None) -> Iterator[str]:
    if comparison and comparison.missed:
        yield (
            f"Webhooks missed {comparison.missed} calls that are in Bandwidth's list. With "
            f"--reconcile.record they would be counted."
        )
    if comparison and comparison.uncovered:
        yield (
            f"Webhooks do not tell of all calls of: {', '.join(comparison.uncovered)}. Bandwidth "
            f"sends them where the application (CallStatusCallbackUrl), the call (disconnectUrl) "
            f"or the transfer (transferDisconnectUrl) asks for it."
        )


def _warnings(
    counted: Instruments,
    durability: Durability,
    wanting_bxml: Sequence[str],
) -> Iterator[str]:
    if not durability.is_up:
        yield (
            "Not durable: the ledger cannot be written. Calls are counted in memory, and are lost "
            "if the exporter is killed before the disk works again. The log says why."
        )
    if counted.one(catalog.LEDGER_WAL_HELD):
        length = formats.size(counted.one(catalog.LEDGER_WAL_BYTES))
        yield (
            f"The ledger's write-ahead log is {length} long and grows, since a reader of the "
            f"ledger stays (a shell with an open query, a backup): end it, or the disk fills up. "
            f"Calls are recorded meanwhile."
        )
    if counted.one(catalog.LEDGER_FILESYSTEM_UNKNOWN):
        yield (
            "The ledger is on a kind of file system that is not known to keep it (the log names "
            "it): put --storage.path on a local disk."
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
    if counted.one(catalog.CREDENTIALS_LOADED) != 1:
        yield "The credentials file cannot be used: the old credentials stay. The log says why."
    for listener, loaded in counted.by(catalog.WEB_CONFIG_LOADED, "listener").items():
        if loaded != 1:
            yield (
                f"The web configuration of the {listener} listener cannot be used: the old one "
                f"stays. The log says why."
            )


def _handler_warnings(handlers: Sequence[Handler]) -> Iterator[str]:
    for handler in handlers:
        if not handler.is_up:
            yield (
                f"The handler of {handler.route} gave no answer when it was last tried. Calls are "
                f"counted all the same, but those that wait for BXML may end. The log says why."
            )
