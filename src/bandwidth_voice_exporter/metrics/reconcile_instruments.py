"""The exporter's metrics about its comparison with Bandwidth's list of calls."""

from prometheus_client import CollectorRegistry

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import RECONCILE_FAILURES, VERDICTS
from bandwidth_voice_exporter.metrics.registered import counter, gauge


class ReconcileInstruments:
    """The state of the comparison with Bandwidth's list of calls.

    ``failing`` is the reason for which the last one was not finished; empty if it was.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = counter(registry, catalog.RECONCILE_CALLS)
        self.coverage = gauge(registry, catalog.RECONCILE_COVERAGE)
        self.failures = counter(registry, catalog.RECONCILE_FAILURES)
        self.success = gauge(registry, catalog.RECONCILE_SUCCESS)
        self.compared = gauge(registry, catalog.RECONCILE_COMPARED)
        self.missed_since = gauge(registry, catalog.RECONCILE_MISSED_SINCE)
        self.queue = gauge(registry, catalog.RECONCILE_QUEUE)
        self.failing = ""

    def bear(self) -> None:
        """Show at 0 what comparing brings."""
        for verdict in VERDICTS:
            self.calls.labels(verdict)
        for reason in RECONCILE_FAILURES:
            self.failures.labels(reason)

    def ended(self, reason: str) -> None:
        """Note the end of a comparison, and count it if there is a reason that it was in vain."""
        self.failing = reason
        if reason:
            self.failures.labels(reason).inc()
