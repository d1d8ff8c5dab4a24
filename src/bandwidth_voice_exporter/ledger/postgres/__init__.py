"""A ledger in PostgreSQL that several exporters share. Its driver is an extra of the package."""

from bandwidth_voice_exporter.ledger.postgres.copy import source as copy_source
from bandwidth_voice_exporter.ledger.postgres.copy import target as copy_target
from bandwidth_voice_exporter.ledger.postgres.opening import check, opened, reader
from bandwidth_voice_exporter.ledger.postgres.target import LedgerTarget

__all__ = ["LedgerTarget", "check", "copy_source", "copy_target", "opened", "reader"]
