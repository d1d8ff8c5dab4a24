"""The lab: it measures the exporter and tries to break it: `python -m lab`."""
