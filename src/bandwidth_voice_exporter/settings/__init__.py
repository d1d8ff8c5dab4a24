"""The settings: from flags, environment and file to one validated value."""

from bandwidth_voice_exporter.settings import credential, paths
from bandwidth_voice_exporter.settings.database import database as database_url
from bandwidth_voice_exporter.settings.database import (
    database_hosts,
    database_options,
    host_name,
)
from bandwidth_voice_exporter.settings.database import replica as replica_name
from bandwidth_voice_exporter.settings.near import hint, nearest
from bandwidth_voice_exporter.settings.options import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    OPTIONS,
    PASSWORD,
    Option,
)
from bandwidth_voice_exporter.settings.resolve import Settings, SettingsError, resolve
from bandwidth_voice_exporter.settings.values import (
    EVERY_IPV4,
    EVERY_IPV6,
    LOCALHOST,
    Address,
    Url,
    duration,
    url,
)

__all__ = [
    "CONFIG_VARIABLE",
    "ENVIRONMENT_PREFIX",
    "EVERY_IPV4",
    "EVERY_IPV6",
    "LOCALHOST",
    "OPTIONS",
    "PASSWORD",
    "Address",
    "Option",
    "Settings",
    "SettingsError",
    "Url",
    "credential",
    "database_hosts",
    "database_options",
    "database_url",
    "duration",
    "hint",
    "host_name",
    "nearest",
    "paths",
    "replica_name",
    "resolve",
    "url",
]
