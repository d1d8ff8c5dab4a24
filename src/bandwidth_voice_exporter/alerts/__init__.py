"""The alert rules, generated from one configuration, and an example of Alertmanager's routes."""

from importlib import resources

from bandwidth_voice_exporter.alerts import config, rules
from bandwidth_voice_exporter.alerts.operator import manifest

__all__ = ["alertmanager", "config", "manifest", "rules"]


def alertmanager() -> str:
    """Return an example of Alertmanager's configuration for the rules."""
    return (resources.files(__package__) / "alertmanager.example.yml").read_text("utf-8")
