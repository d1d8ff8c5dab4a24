"""``python -m bandwidth_voice_exporter``."""

from bandwidth_voice_exporter.cli import run

run()
