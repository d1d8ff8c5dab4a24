"""Writes the Grafana dashboards from the metric catalog."""
