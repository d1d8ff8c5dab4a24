"""Bandwidth's own list of calls, beside the ledger: calls webhooks missed are reported or counted.

Imported only if reconciliation is asked for: its HTTP client is an extra.
"""

from bandwidth_voice_exporter.reconcile.ask_error import AskError
from bandwidth_voice_exporter.reconcile.opening import checked, compared, report, running

__all__ = ["AskError", "checked", "compared", "report", "running"]
