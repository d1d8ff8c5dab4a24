"""A ledger in PostgreSQL that several exporters share. Its driver is an extra of the package."""

from bandwidth_voice_exporter.ledger.postgres.opening import opened, reader

__all__ = ["opened", "reader"]
