"""The private listener's application: metrics, health, and pages for people."""

from bandwidth_voice_exporter.ops.app import Scrape, application
from bandwidth_voice_exporter.ops.history import Causes, History, Recall
from bandwidth_voice_exporter.ops.kept import Kept
from bandwidth_voice_exporter.ops.pages import Pages
from bandwidth_voice_exporter.ops.site import Site
from bandwidth_voice_exporter.ops.state import State

__all__ = [
    "Causes",
    "History",
    "Kept",
    "Pages",
    "Recall",
    "Scrape",
    "Site",
    "State",
    "application",
]
