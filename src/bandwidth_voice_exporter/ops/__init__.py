"""The private listener's application: metrics, health, and pages for people."""

from bandwidth_voice_exporter.ops.app import Scrape, application
from bandwidth_voice_exporter.ops.inquiry import inquiring
from bandwidth_voice_exporter.ops.pages import Pages
from bandwidth_voice_exporter.ops.recall import recall_of
from bandwidth_voice_exporter.ops.shown import shown
from bandwidth_voice_exporter.ops.site import hosts_of, site_of
from bandwidth_voice_exporter.ops.state import State

__all__ = [
    "Pages",
    "Scrape",
    "State",
    "application",
    "hosts_of",
    "inquiring",
    "recall_of",
    "shown",
    "site_of",
]
