"""What to do about each alert: a runbook of its name."""

from bandwidth_voice_exporter.runbooks.shelf import html, texts

__all__ = ["html", "texts"]
