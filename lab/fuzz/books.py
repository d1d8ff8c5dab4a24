"""Books of the events sent and answered, and of the counts that they must have made."""

import threading
from collections import Counter
from collections.abc import Iterator

from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.call import Event, read_event
from bandwidth_voice_exporter.voice.clock import now
from bandwidth_voice_exporter.voice.event_types import COUNTED_TYPES
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms
from lab.fuzz import raw
from lab.fuzz.mutations import CANARY
from lab.fuzz.oracle import most_label_sets
from testkit import calls
from testkit.exporter import Samples

_PSEUDONYMS = Pseudonyms(b"books")

HONEST = "abcd0000-0000-4000-8000-0000000000aa"
LIMITS = Limits(applications=(HONEST, raw.APPLICATION), max_applications=10)
FLAGS = (
    f"--labels.application={HONEST}=honest",
    f"--labels.application={raw.APPLICATION}=raw",
    f"--labels.max-applications={LIMITS.max_applications}",
)

_ALLOWED = {100, 200, 204, 400, 401, 404, 405, 408, 413, 431}
_MOST_OWN_SERIES = 600  # of the exporter about itself, with Python's and the process's


class Books:
    """Kept by every thread of the fuzzer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answered: Counter[int] = Counter()
        self.sent = 0
        self.growth = 0.0  # bytes of resident memory
        self._honest: list[calls.Event] = []
        self._legs: dict[str, set[str]] = {event_type: set() for event_type in COUNTED_TYPES}
        self._anonymous: Counter[str] = Counter()
        self._field_errors: Counter[tuple[str, str]] = Counter()
        self._raw_sent = 0
        self._raw_answered = 0

    def enter(self, status: int, taken: Event | None, honest: calls.Event | None) -> None:
        """Enter the answer to an event; None where none could be read."""
        with self._lock:
            self.sent += 1
            self.answered[status] += 1
            if honest:
                self._honest.append(honest)
            elif taken and taken.call and taken.call.call_id:
                self._legs[taken.event_type].add(taken.call.call_id)
            elif taken and taken.call:
                self._anonymous[taken.event_type] += 1
            if taken:
                self._field_errors.update(taken.field_errors)

    def enter_raw(self, events: int, statuses: list[int]) -> None:
        """Enter the answers on a connection that carried so many events of bent requests."""
        with self._lock:
            self.sent += events
            self.answered.update(statuses)
            self._raw_sent += events
            self._raw_answered += statuses.count(204)

    def wrong(self, samples: Samples) -> Iterator[str]:
        """Say what the metrics have that they should not have, and the other way round."""
        yield from (f"answered {status}" for status in self.answered if status not in _ALLOWED)
        applications: Counter[str] = Counter()
        honest: Counter[tuple[str, str]] = Counter()
        for labels, value in _of(samples, "bandwidth_voice_calls_total"):
            applications[labels["application"]] += int(value)
            if labels["application"] == "honest":
                honest[labels["direction"], labels["cause"]] += int(value)
        if +honest != calls.expected(self._honest)["calls"]:
            yield "honest events were not counted as they were sent"
        raw_counted = applications.pop("raw")
        if not self._raw_answered <= raw_counted <= self._raw_sent:
            yield f"bent requests: {self._raw_answered} <= {raw_counted} <= {self._raw_sent}"
        del applications["honest"]
        legs = _of(samples, "bandwidth_voice_transfer_legs_total")
        for event_type, counted in (
            ("disconnect", applications.total()),
            ("transferDisconnect", sum(int(value) for _, value in legs)),
        ):
            sent = len(self._legs[event_type]) + self._anonymous[event_type]
            if counted != sent:
                yield f"{event_type}: {counted} counted, {sent} sent and answered 204"
        errors = Counter(
            {
                (labels["field"], labels["reason"]): int(value)
                for labels, value in _of(samples, "bandwidth_voice_exporter_field_errors_total")
            }
        )
        if +errors != self._field_errors:
            yield f"field errors: {errors - self._field_errors} / {self._field_errors - errors}"
        yield from self._wrong_answers(samples)
        yield from _wrong_series(samples)

    def _wrong_answers(self, samples: Samples) -> Iterator[str]:
        requests = _of(samples, "bandwidth_voice_exporter_webhook_requests_total")
        answered = sum(int(value) for labels, value in requests if labels["code"] == "204")
        if answered < self.answered[204]:
            yield f"{answered} requests answered 204, {self.answered[204]} seen"
        events = sum(
            int(value) for _, value in _of(samples, "bandwidth_voice_exporter_events_total")
        )
        if answered != events:
            yield f"{answered} requests answered 204 for {events} events"
        for labels, value in _of(samples, "bandwidth_voice_exporter_rejected_total"):
            if value and labels["reason"] == "internal":
                yield f"{value:g} requests broke it"


def taken_from_body(body: bytes) -> Event | None:
    """Return the event that a body has, or None."""
    try:
        return read_event(payload.from_json(body), now(), _PSEUDONYMS)
    except payload.MalformedError:
        return None


def taken_from_query(query: str) -> Event | None:
    """Return the event that a query string has, or None."""
    if not query:
        return None
    return read_event(payload.from_query(query.encode()), now(), _PSEUDONYMS)


def _of(samples: Samples, name: str) -> list[tuple[dict[str, str], float]]:
    return [(dict(labels), value) for (one, labels), value in samples.items() if one == name]


def _wrong_series(samples: Samples) -> Iterator[str]:
    seen: Counter[str] = Counter()
    own = 0
    for name, labels in samples:
        if CANARY in str(labels):
            yield f"a phone number in {name}"
        if name.startswith("bandwidth_voice_") and "_exporter_" not in name:
            if not name.endswith(("_bucket", "_sum")):
                seen[name.removesuffix("_count")] += 1
        else:
            own += 1
    most = most_label_sets(LIMITS)
    for name, number in seen.items():
        if number > most[name]:
            yield f"{number} label sets of {name}, at most {most[name]} expected"
    if own > _MOST_OWN_SERIES:
        yield f"{own} series of its own"
