"""What can be set: from flags, environment and file to one validated value."""

from bandwidth_voice_exporter.settings import paths
from bandwidth_voice_exporter.settings.options import ENVIRONMENT_PREFIX, OPTIONS, Option
from bandwidth_voice_exporter.settings.resolve import Settings, SettingsError, resolve
from bandwidth_voice_exporter.settings.values import LOCALHOST, Address, duration

__all__ = [
    "ENVIRONMENT_PREFIX",
    "LOCALHOST",
    "OPTIONS",
    "Address",
    "Option",
    "Settings",
    "SettingsError",
    "duration",
    "paths",
    "resolve",
]
