"""What the exporter counts about itself. These start anew with each process."""

import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from http import HTTPStatus
from itertools import product
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.snapshot import Counts
from bandwidth_voice_exporter.version import revision, version
from bandwidth_voice_exporter.voice import (
    COUNTED_TYPES,
    FIELD_REASONS,
    IGNORED_TYPES,
    SECOND,
    FieldErrors,
    labels,
    now,
)

COUNTED = "counted"
DUPLICATE = "duplicate"
IGNORED = "ignored"
PASSED = "passed"

# No credentials at all: Bandwidth may send an event so first, and then with them.
UNAUTHENTICATED = "unauthenticated"
# Every reason for which a request on the webhook listener gives no event.
REJECTIONS = (
    *(UNAUTHENTICATED, "unauthorized", "malformed", "too_large", "method", "path"),
    *("aborted", "internal", "http", "headers", "timeout", "overload"),
)
_CODES = ("200", "204", "400", "401", "404", "405", "408", "413", "431", "503")
_OVERFLOWING = ("application", "cause", "code", "error_id", "event_type")

_MAX_NEW_EVENT_TYPES = 20
# Event types that are not about a call's end.
_NOTHING = (*IGNORED_TYPES, labels.MISSING, labels.INVALID, labels.OTHER)

# Requests without credentials are questions. So many of them, for longer than a client takes to
# come back with credentials, and not one event in between: nobody is going to.
_QUESTIONS = 5
_PATIENCE = 60.0  # seconds

# Rows of the ledger by how long they are kept, in the order in which they go.
Kind = Literal["failure", "normal"]
KINDS: tuple[Kind, ...] = ("normal", "failure")

LISTENERS = ("ops", "webhook")
LEDGER_OPERATIONS = ("open", "append", "upkeep", "recover", "checkpoint")


# What every event moves: plain numbers, since prometheus_client's take a lock for each step.
COUNTERS = (
    catalog.WEBHOOK_REQUESTS,
    catalog.EVENTS,
    catalog.REJECTED,
    catalog.FIELD_ERRORS,
    catalog.LABEL_OVERFLOW,
)


class LedgerInstruments:
    """What the ledger says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = _gauge(registry, catalog.LEDGER_UP)
        self.in_memory = _gauge(registry, catalog.LEDGER_IN_MEMORY)
        self.rows = _gauge(registry, catalog.LEDGER_ROWS)
        self.bytes = _gauge(registry, catalog.LEDGER_BYTES)
        self.wal_bytes = _gauge(registry, catalog.LEDGER_WAL_BYTES)
        self.wal_held = _gauge(registry, catalog.LEDGER_WAL_HELD)
        self.filesystem_unknown = _gauge(registry, catalog.LEDGER_FILESYSTEM_UNKNOWN)
        self.commit = _histogram(registry, catalog.LEDGER_COMMIT)
        self.errors = _counter(registry, catalog.LEDGER_ERRORS)
        self.not_recorded = _counter(registry, catalog.LEDGER_NOT_RECORDED)
        self._pruned_rows = _counter(registry, catalog.LEDGER_PRUNED)
        self._pruned_before = _gauge(registry, catalog.LEDGER_PRUNED_BEFORE)
        for operation in LEDGER_OPERATIONS:
            self.errors.labels(operation)
        for kind in KINDS:
            self.pruned(kind, 0, 0)

    def pruned(self, kind: str, rows: int, before: int) -> None:
        """Count rows taken out, the newest of which was received at a time (microseconds)."""
        self._pruned_rows.labels(kind).inc(rows)
        self._pruned_before.labels(kind).set(before / SECOND)


# Why a handler gave no answer: not reached, not trusted, too late, cut off, not HTTP or none that
# can be passed on; or it was not asked: too many wait for it, it is this exporter itself, the end.
FORWARD_FAILURES = (
    *("connect", "tls", "timeout", "reset", "protocol"),
    *("overload", "loop", "stopped"),
)
# A handler's status that HTTP does not have is no label.
_LABELS = {status.value: str(status.value) for status in HTTPStatus}
_ANSWERS = ("200", "204", "401", "404", "500", "502", "503")


class ForwardInstruments:
    """What is said of the handlers, by the path whose requests they get."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = _counter(registry, catalog.FORWARD_REQUESTS)
        self.seconds = _histogram(registry, catalog.FORWARD_SECONDS)
        self.failures = _counter(registry, catalog.FORWARD_FAILURES)
        self.in_flight = _gauge(registry, catalog.FORWARD_IN_FLIGHT)
        self.up = _gauge(registry, catalog.FORWARD_UP)

    def bear(self, route: str) -> None:
        """Show a route's at 0, and its handler as one that was not tried in vain."""
        for code in _ANSWERS:
            self.requests.labels(route, code)
        for reason in FORWARD_FAILURES:
            self.failures.labels(route, reason)
        self.seconds.labels(route)
        self.in_flight.labels(route)
        self.up.labels(route).set(1)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests.labels(route, _LABELS.get(status, labels.OTHER)).inc()
        self.seconds.labels(route).observe(seconds)
        self.up.labels(route).set(1)

    def failed(self, route: str, reason: str, *, is_down: bool) -> None:
        """Count a request without an answer, by a reason of FORWARD_FAILURES."""
        self.failures.labels(route, reason).inc()
        if is_down:
            self.up.labels(route).set(0)


# What the ledger says of an ended call that is listed: a webhook told of it; none did, and it is
# counted now, or only reported; or it cannot be said, since none ever told of its application and
# direction, not of all of them, or of too few, since rows of its time are pruned or may be missing
# otherwise, or since it has no id.
VERDICTS = (
    *("counted", "recorded", "missed"),
    *("not_configured", "partial", "too_few", "pruned", "doubted", "no_id"),
)
# Why a comparison was not finished: Bandwidth was not reached, not trusted, too late or cut off,
# gave no token or did not take it, does not let these credentials see the calls, knows no such
# account, did not understand, was asked too often, had an error or made no sense; the ledger does
# not work; a mistake in the exporter.
RECONCILE_FAILURES = (
    *("connect", "tls", "timeout", "reset", "token", "unauthorized", "forbidden", "not_found"),
    *("invalid", "rate_limited", "server", "malformed", "ledger", "credentials", "internal"),
)


class ReconcileInstruments:
    """What is said of the comparison with Bandwidth's list of calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = _counter(registry, catalog.RECONCILE_CALLS)
        self.coverage = _gauge(registry, catalog.RECONCILE_COVERAGE)
        self.failures = _counter(registry, catalog.RECONCILE_FAILURES)
        self.success = _gauge(registry, catalog.RECONCILE_SUCCESS)
        self.compared = _gauge(registry, catalog.RECONCILE_COMPARED)
        self.missed_since = _gauge(registry, catalog.RECONCILE_MISSED_SINCE)
        self.queue = _gauge(registry, catalog.RECONCILE_QUEUE)

    def bear(self) -> None:
        """Show at 0 what comparing brings."""
        for verdict in VERDICTS:
            self.calls.labels(verdict)
        for reason in RECONCILE_FAILURES:
            self.failures.labels(reason)


class Instruments(Collector):
    """The exporter's own metrics, each at 0 under every label set of its closed sets.

    ``others`` has those that are not of COUNTERS. ``last_rejections`` has when a request gave no
    event for a reason (microseconds since 1970).
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._questions = 0  # since the last event
        self._asked_first = self._asked_last = 0.0
        self._counts: dict[str, dict[tuple[str, ...], int]] = {
            metric.name: defaultdict(int) for metric in COUNTERS
        }
        self._requests = self._counts[catalog.WEBHOOK_REQUESTS.name]
        self._events = self._counts[catalog.EVENTS.name]
        self._rejected = self._counts[catalog.REJECTED.name]
        self._field_errors = self._counts[catalog.FIELD_ERRORS.name]
        self._overflow = self._counts[catalog.LABEL_OVERFLOW.name]
        self.others = CollectorRegistry()
        ProcessCollector(registry=self.others)
        PlatformCollector(registry=self.others)
        GCCollector(registry=self.others)
        self.credentials_loaded = _gauge(self.others, catalog.CREDENTIALS_LOADED)
        self.credentials_loaded.set(1)
        self.web_config_loaded = _gauge(self.others, catalog.WEB_CONFIG_LOADED)
        self.tls_handshake_errors = _counter(self.others, catalog.TLS_HANDSHAKE_ERRORS)
        self.ledger = LedgerInstruments(self.others)
        self.forward = ForwardInstruments(self.others)
        self.reconcile = ReconcileInstruments(self.others)
        self.last_rejections: dict[str, int] = {}
        self._event_types = labels.Admission(
            frozenset({*COUNTED_TYPES, *IGNORED_TYPES, labels.MISSING, labels.INVALID}),
            _MAX_NEW_EVENT_TYPES,
        )
        _gauge(self.others, catalog.BUILD_INFO).labels(
            version=version(),
            revision=revision(),
            python_version=platform.python_version(),
        ).set(1)
        self._bear_known()

    def collect(self) -> Iterable[Metric]:
        """Yield the families of all of them."""
        for metric in COUNTERS:
            family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for key, value in self._counts[metric.name].items():
                family.add_metric(key, value)
            yield family
        yield from self.others.collect()

    def counts(self) -> Counts:
        """Copy what COUNTERS have come to."""
        return {
            name: [(key, value, None) for key, value in counts.items()]
            for name, counts in self._counts.items()
        }

    def values(self, metric: catalog.Metric) -> dict[tuple[str, ...], float]:
        """Return a counter's or gauge's values by label values, those in the catalog's order."""
        if metric in COUNTERS:
            return dict(self._counts[metric.name])
        return {
            tuple(sample.labels[label] for label in metric.labels): sample.value
            for family in self.others.restricted_registry([metric.name]).collect()
            for sample in family.samples
            if sample.name == metric.name
        }

    def one(self, metric: catalog.Metric) -> float:
        """Return the value of a metric without labels."""
        return self.values(metric)[()]

    def by(self, metric: catalog.Metric, label: str, **where: str) -> dict[str, float]:
        """Return a metric's values by one label, of those series that are as ``where`` says."""
        return metric.by(label, self.values(metric).items(), **where)

    def request(self, code: int) -> None:
        """Count an answered request."""
        self._requests[(_LABELS.get(code, labels.OTHER),)] += 1

    def refused(self, reason: str, status: int | None) -> None:
        """Count what was closed before a request was read, and the answer if there was one."""
        self.rejected(reason)
        if status:
            self.request(status)

    def rejected(self, reason: str) -> None:
        """Count a request that gave no event, by a reason of REJECTIONS."""
        self._rejected[(reason,)] += 1
        self.last_rejections[reason] = now()
        if reason == UNAUTHENTICATED:
            self._asked_last = self._monotonic()
            if not self._questions:
                self._asked_first = self._asked_last
            self._questions += 1

    @property
    def is_unanswered(self) -> bool:
        """Whether requests come without credentials, and none with them: their events are lost."""
        return self._questions >= _QUESTIONS and self._asked_last - self._asked_first >= _PATIENCE

    def event(self, event_type: str, result: str, field_errors: FieldErrors) -> None:
        """Count an event and the fields of it that could not be used."""
        event_type, _ = self._event_types.admit(event_type)
        if event_type == labels.OTHER:
            self.overflow(("event_type",))
        self._events[event_type, result] += 1
        self._questions = 0
        for error in field_errors:
            self._field_errors[error] += 1

    def bear_route(self, route: str) -> None:
        """Show at 0 what forwarding from a path brings."""
        self.forward.bear(route)
        self._events.update(dict.fromkeys(product(_NOTHING, (PASSED,)), 0))

    def overflow(self, overflowing: Iterable[str]) -> None:
        """Count values that their label's cap put under ``other``."""
        for label in overflowing:
            self._overflow[(label,)] += 1

    def _bear_known(self) -> None:
        for listener in LISTENERS:
            self.web_config_loaded.labels(listener).set(1)
            self.tls_handshake_errors.labels(listener)
        self._requests.update(dict.fromkeys(((code,) for code in _CODES), 0))
        self._events.update(dict.fromkeys(product(COUNTED_TYPES, (COUNTED, DUPLICATE)), 0))
        self._events.update(dict.fromkeys(product(_NOTHING, (IGNORED,)), 0))
        self._rejected.update(dict.fromkeys(((reason,) for reason in REJECTIONS), 0))
        for field, reasons in FIELD_REASONS.items():
            self._field_errors.update(dict.fromkeys(product((field,), reasons), 0))
        self._overflow.update(dict.fromkeys(((label,) for label in _OVERFLOWING), 0))


def _counter(registry: CollectorRegistry, metric: catalog.Metric) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _histogram(registry: CollectorRegistry, metric: catalog.Metric) -> Histogram:
    return Histogram(
        metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
    )


def _gauge(registry: CollectorRegistry, metric: catalog.Metric) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)
