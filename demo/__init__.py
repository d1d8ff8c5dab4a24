"""Everything at once: calls, exporter, Prometheus, Alertmanager, and an alert that fires."""
