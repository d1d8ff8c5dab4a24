"""The exporter's metrics about its comparison with Bandwidth's list of calls."""

from prometheus_client import CollectorRegistry

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import RECONCILE_FAILURES, VERDICTS
from bandwidth_voice_exporter.metrics.registered import counter, gauge


class ReconcileInstruments:
    """The state of the comparison with Bandwidth's list of calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = counter(registry, catalog.RECONCILE_CALLS)
        self.coverage = gauge(registry, catalog.RECONCILE_COVERAGE)
        self.failures = counter(registry, catalog.RECONCILE_FAILURES)
        self.success = gauge(registry, catalog.RECONCILE_SUCCESS)
        self.compared = gauge(registry, catalog.RECONCILE_COMPARED)
        self.missed_since = gauge(registry, catalog.RECONCILE_MISSED_SINCE)
        self.queue = gauge(registry, catalog.RECONCILE_QUEUE)

    def bear(self) -> None:
        """Show at 0 what comparing brings."""
        for verdict in VERDICTS:
            self.calls.labels(verdict)
        for reason in RECONCILE_FAILURES:
            self.failures.labels(reason)
