"""What the exporter counts about itself. These start anew with each process."""

import platform
from collections.abc import Callable, Iterable
from importlib import metadata
from itertools import product
from typing import TypeVar

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bandwidth_voice_exporter import catalog, event, labels
from bandwidth_voice_exporter.store import KINDS

_DISTRIBUTION = "bandwidth-voice-exporter"

COUNTED = "counted"
DUPLICATE = "duplicate"
IGNORED = "ignored"

# Every reason for which a request on the webhook listener gives no event.
REJECTIONS = (
    *("unauthorized", "malformed", "too_large", "method", "path", "aborted", "internal"),
    *("http", "headers", "timeout", "overload"),
)
_CODES = ("200", "204", "400", "401", "404", "405", "408", "413", "431", "503")
_OVERFLOWING = ("application", "cause", "code", "error_id", "event_type")

# Event types of Bandwidth's webhook pages that are not about a call's end.
IGNORED_TYPES = (
    *("answer", "initiate", "redirect", "gather", "dtmf", "machineDetectionComplete"),
    *("bridgeComplete", "bridgeTargetComplete", "transferAnswer", "transferComplete"),
    *("conferenceCreated", "conferenceRedirect", "conferenceMemberJoin", "conferenceMemberExit"),
    *("conferenceCompleted", "conferenceRecordingAvailable"),
    *("recordingComplete", "recordingAvailable", "transcriptionAvailable"),
)
_MAX_NEW_EVENT_TYPES = 20


LISTENERS = ("ops", "webhook")
LEDGER_OPERATIONS = ("open", "append", "upkeep", "recover", "checkpoint")


_LabelValues = TypeVar("_LabelValues")


class _Children(dict[_LabelValues, Counter]):
    """Counters by label values, each looked up once."""

    def __init__(self, look_up: Callable[[_LabelValues], Counter]) -> None:
        super().__init__()
        self._look_up = look_up

    def __missing__(self, values: _LabelValues) -> Counter:
        child = self[values] = self._look_up(values)
        return child


class LedgerInstruments:
    """What the ledger says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = _gauge(registry, catalog.LEDGER_UP)
        self.in_memory = _gauge(registry, catalog.LEDGER_IN_MEMORY)
        self.rows = _gauge(registry, catalog.LEDGER_ROWS)
        self.bytes = _gauge(registry, catalog.LEDGER_BYTES)
        self.commit = Histogram(
            catalog.LEDGER_COMMIT.name,
            catalog.LEDGER_COMMIT.help,
            buckets=catalog.LEDGER_COMMIT.buckets,
            registry=registry,
        )
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
        self._pruned_before.labels(kind).set(before / event.SECOND)


class Instruments(Collector):
    """The exporter's own metrics, each at 0 under every label set of its closed sets."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = _counter(self._registry, catalog.WEBHOOK_REQUESTS)
        self._events = _counter(self._registry, catalog.EVENTS)
        self._rejected = _counter(self._registry, catalog.REJECTED)
        self._field_errors = _counter(self._registry, catalog.FIELD_ERRORS)
        self._overflow = _counter(self._registry, catalog.LABEL_OVERFLOW)
        self.credentials_loaded = _gauge(self._registry, catalog.CREDENTIALS_LOADED)
        self.credentials_loaded.set(1)
        self.web_config_loaded = _gauge(self._registry, catalog.WEB_CONFIG_LOADED)
        self.tls_handshake_errors = _counter(self._registry, catalog.TLS_HANDSHAKE_ERRORS)
        self.ledger = LedgerInstruments(self._registry)
        self._event_types = labels.Admission(
            frozenset({*event.COUNTED_TYPES, *IGNORED_TYPES, labels.MISSING, labels.INVALID}),
            _MAX_NEW_EVENT_TYPES,
        )
        _gauge(self._registry, catalog.BUILD_INFO).labels(
            version=version(),
            revision=_revision(),
            python_version=platform.python_version(),
        ).set(1)
        # A label lookup costs more than the count: once is enough.
        self._answered = _Children[int](lambda code: self._requests.labels(str(code)))
        self._by_result = _Children[tuple[str, str]](lambda key: self._events.labels(*key))
        self._bear_known()

    def collect(self) -> Iterable[Metric]:
        """Yield the families of all of them."""
        return self._registry.collect()

    def request(self, code: int) -> None:
        """Count an answered request."""
        self._answered[code].inc()

    def refused(self, reason: str, status: int | None) -> None:
        """Count what was closed before a request was read, and the answer if there was one."""
        self.rejected(reason)
        if status:
            self.request(status)

    def rejected(self, reason: str) -> None:
        """Count a request that gave no event, by a reason of REJECTIONS."""
        self._rejected.labels(reason).inc()

    def event(self, event_type: str, result: str, field_errors: event.FieldErrors) -> None:
        """Count an event and the fields of it that could not be used."""
        event_type, _ = self._event_types.admit(event_type)
        if event_type == labels.OTHER:
            self.overflow(("event_type",))
        self._by_result[event_type, result].inc()
        for field, reason in field_errors:
            self._field_errors.labels(field, reason).inc()

    def overflow(self, overflowing: Iterable[str]) -> None:
        """Count values that their label's cap put under ``other``."""
        for label in overflowing:
            self._overflow.labels(label).inc()

    def _bear_known(self) -> None:
        for listener in LISTENERS:
            self.web_config_loaded.labels(listener).set(1)
            self.tls_handshake_errors.labels(listener)
        for code in _CODES:
            self._requests.labels(code)
        for event_type, result in product(event.COUNTED_TYPES, (COUNTED, DUPLICATE)):
            self._events.labels(event_type, result)
        for event_type in (*IGNORED_TYPES, labels.MISSING, labels.INVALID, labels.OTHER):
            self._events.labels(event_type, IGNORED)
        for reason in REJECTIONS:
            self._rejected.labels(reason)
        for field, reasons in event.FIELD_REASONS.items():
            for reason in reasons:
                self._field_errors.labels(field, reason)
        for label in _OVERFLOWING:
            self._overflow.labels(label)


def _counter(registry: CollectorRegistry, metric: catalog.Metric) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(registry: CollectorRegistry, metric: catalog.Metric) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def version() -> str:
    """Return the version of the package that is installed."""
    return metadata.version(_DISTRIBUTION)


def _revision() -> str:
    """Return the commit that an installation from a repository records (PEP 610)."""
    origin = metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")
    if origin is None:
        return "unknown"
    commit = msgspec.json.decode(origin).get("vcs_info", {}).get("commit_id", "unknown")
    return str(commit)
