"""Slow clients, floods, made-up labels: what they do to the exporter."""
