"""Real programs that the tests start and talk to: the exporter, the simulator, Prometheus."""
