"""The Grafana dashboards, written from the metric catalog."""

from bandwidth_voice_exporter.dashboards.files import dashboards

__all__ = ["dashboards"]
