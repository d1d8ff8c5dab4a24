"""The private listener's application: metrics, health, and pages for people."""

from bandwidth_voice_exporter.ops.app import Scrape, application
from bandwidth_voice_exporter.ops.history import Causes, History, Recall
from bandwidth_voice_exporter.ops.pages import Pages, Site
from bandwidth_voice_exporter.ops.state import State
from bandwidth_voice_exporter.ops.status import Kept

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
