"""The exporter's metrics about itself. These start anew with each process."""

import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from http import HTTPStatus
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import (
    CAPPED_LABELS,
    COUNTED,
    DUPLICATE,
    IGNORED,
    LISTENERS,
    PASSED,
    REJECTIONS,
    UNAUTHENTICATED,
    CappedLabel,
    RejectionReason,
    Result,
)
from bandwidth_voice_exporter.metrics.forward_instruments import (
    ForwardInstruments,
    RouteInstruments,
)
from bandwidth_voice_exporter.metrics.ledger_instruments import LedgerInstruments
from bandwidth_voice_exporter.metrics.reconcile_instruments import ReconcileInstruments
from bandwidth_voice_exporter.metrics.registered import counter, gauge
from bandwidth_voice_exporter.metrics.snapshot import Counts
from bandwidth_voice_exporter.version import revision, version
from bandwidth_voice_exporter.voice import (
    COUNTED_TYPES,
    FIELD_REASONS,
    IGNORED_TYPES,
    FieldErrors,
    labels,
    now,
)

# A status that HTTP does not have is no label.
_LABELS = {status.value: str(status.value) for status in HTTPStatus}
_CODES = ("200", "204", "400", "401", "404", "405", "408", "413", "431", "503")

_MAX_NEW_EVENT_TYPES = 20
# Event types that are not about a call's end.
_NOTHING = (*IGNORED_TYPES, labels.MISSING, labels.INVALID, labels.OTHER)

# Requests without credentials are questions. So many of them, for longer than a client takes to
# come back with credentials, and not one event in between: nobody is going to.
_QUESTIONS = 5
_PATIENCE = 60.0  # seconds

# The counters of every event: plain numbers, since prometheus_client's take a lock each time.
COUNTERS = (
    catalog.WEBHOOK_REQUESTS,
    catalog.EVENTS,
    catalog.REJECTED,
    catalog.FIELD_ERRORS,
    catalog.LABEL_OVERFLOW,
)


class Instruments(Collector):
    """The exporter's own metrics, each at 0 under every label set of its closed sets.

    ``others`` has the metrics that are not in COUNTERS. ``last_rejections`` has the time of the
    last request that gave no event, by reason (microseconds since 1970), the last one at the end.
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
        self.credentials_loaded = gauge(self.others, catalog.CREDENTIALS_LOADED)
        self.credentials_loaded.set(1)
        self._credentials: list[bool] = []
        self.web_config_loaded = gauge(self.others, catalog.WEB_CONFIG_LOADED)
        self.certificate_ends = gauge(self.others, catalog.CERTIFICATE_ENDS)
        self.tls_handshake_errors = counter(self.others, catalog.TLS_HANDSHAKE_ERRORS)
        self.ledger = LedgerInstruments(self.others)
        self.forward = ForwardInstruments(self.others)
        self.reconcile = ReconcileInstruments(self.others)
        self.last_rejections: dict[RejectionReason, int] = {}
        self._event_types = labels.Admitted(
            frozenset({*COUNTED_TYPES, *IGNORED_TYPES, labels.MISSING, labels.INVALID}),
            _MAX_NEW_EVENT_TYPES,
        )
        gauge(self.others, catalog.BUILD_INFO).labels(
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

    def refused(self, reason: RejectionReason, status: int | None) -> None:
        """Count a connection closed before its request was read, and its answer if it had one."""
        self.rejected(reason)
        if status:
            self.request(status)

    def rejected(self, reason: RejectionReason) -> None:
        """Count a request that gave no event."""
        self._rejected[(reason,)] += 1
        # Put at the end each time: a clock has ticks, and steps back.
        self.last_rejections.pop(reason, None)
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

    def event(self, event_type: str, result: Result, field_errors: FieldErrors) -> None:
        """Count an event and the fields of it that could not be used."""
        event_type, _ = self._event_types.admit(event_type)
        if event_type == labels.OTHER:
            self.overflow(("event_type",))
        self._events[event_type, result] += 1
        self._questions = 0
        for error in field_errors:
            self._field_errors[error] += 1

    def follow_credentials(self) -> Callable[[float], None]:
        """Return what to tell whether one of the credentials files could be used."""
        place = len(self._credentials)
        self._credentials.append(True)

        def tell(usable: float) -> None:
            self._credentials[place] = bool(usable)
            self.credentials_loaded.set(all(self._credentials))

        return tell

    def bear_route(self, route: str) -> RouteInstruments:
        """Show a forwarded path's metrics at 0, and return them."""
        self._events.update(dict.fromkeys(product(_NOTHING, (PASSED,)), 0))
        return RouteInstruments(self.forward, route)

    def overflow(self, overflowing: Iterable[CappedLabel]) -> None:
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
        self._overflow.update(dict.fromkeys(((label,) for label in CAPPED_LABELS), 0))
