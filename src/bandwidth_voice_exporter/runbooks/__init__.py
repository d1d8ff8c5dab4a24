"""A runbook for each alert, of its name: the steps to take."""

from bandwidth_voice_exporter.runbooks.shelf import html, texts

__all__ = ["html", "texts"]
