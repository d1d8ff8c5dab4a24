"""Prometheus exporter for Bandwidth Programmable Voice disconnect webhooks."""
