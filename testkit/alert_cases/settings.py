"""The configuration that the shipped rules were made from."""

from bandwidth_voice_exporter.alerts import config

CONFIG = config.load()
