"""How good alert rules are, measured: simulated calls replayed on a real Prometheus and scored."""
