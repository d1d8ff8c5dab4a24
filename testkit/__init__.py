"""What the tests start and talk to: the exporter, the simulator and Prometheus as real programs."""
