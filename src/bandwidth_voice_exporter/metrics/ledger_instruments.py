"""The exporter's metrics about its ledger."""

from prometheus_client import CollectorRegistry

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import (
    KINDS,
    LEDGER_OPERATIONS,
    Kind,
    LedgerOperation,
)
from bandwidth_voice_exporter.metrics.registered import counter, gauge, histogram
from bandwidth_voice_exporter.voice import SECOND


class LedgerInstruments:
    """The ledger's state, as metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = gauge(registry, catalog.LEDGER_UP)
        self.in_memory = gauge(registry, catalog.LEDGER_IN_MEMORY)
        self.rows = gauge(registry, catalog.LEDGER_ROWS)
        self.bytes = gauge(registry, catalog.LEDGER_BYTES)
        self.wal_bytes = gauge(registry, catalog.LEDGER_WAL_BYTES)
        self.wal_held = gauge(registry, catalog.LEDGER_WAL_HELD)
        self.filesystem_unknown = gauge(registry, catalog.LEDGER_FILESYSTEM_UNKNOWN)
        self.commit = histogram(registry, catalog.LEDGER_COMMIT)
        self._errors = counter(registry, catalog.LEDGER_ERRORS)
        self.not_recorded = counter(registry, catalog.LEDGER_NOT_RECORDED)
        self._counted_twice = counter(registry, catalog.LEDGER_COUNTED_TWICE)
        self._twice = 0
        self._pruned_rows = counter(registry, catalog.LEDGER_PRUNED)
        self._pruned_before = gauge(registry, catalog.LEDGER_PRUNED_BEFORE)
        for operation in LEDGER_OPERATIONS:
            self._errors.labels(operation)
        for kind in KINDS:
            self.pruned(kind, 0, 0)

    def failed(self, operation: LedgerOperation) -> None:
        """Count a failure, and say that the ledger does not work."""
        self.stumbled(operation)
        self.up.set(0)

    def stumbled(self, operation: LedgerOperation) -> None:
        """Count a failure in spite of which the ledger works."""
        self._errors.labels(operation).inc()

    def count_twice(self, calls: int) -> None:
        """Say how many calls another replica counted too, since the share was begun."""
        self._counted_twice.inc(calls - self._twice)
        self._twice = calls

    def pruned(self, kind: Kind, rows: int, before: int) -> None:
        """Count rows taken out, the newest of which was received at a time (microseconds)."""
        self._pruned_rows.labels(kind).inc(rows)
        self._pruned_before.labels(kind).set(before / SECOND)
