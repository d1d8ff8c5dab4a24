"""Listeners, connections, TLS and passwords: bounded for each client; knows no calls."""

from bandwidth_voice_exporter.http import basic, security
from bandwidth_voice_exporter.http.exchange import sender_of
from bandwidth_voice_exporter.http.limits import Limits, Terms
from bandwidth_voice_exporter.http.listener import ListenError, address_of, bound, listening
from bandwidth_voice_exporter.http.peer import (
    Network,
    client_of,
    host_name,
    is_local,
    is_local_name,
)
from bandwidth_voice_exporter.http.security import Security
from bandwidth_voice_exporter.http.users import Protected
from bandwidth_voice_exporter.http.web_config import WebConfigError

__all__ = [
    "Limits",
    "ListenError",
    "Network",
    "Protected",
    "Security",
    "Terms",
    "WebConfigError",
    "address_of",
    "basic",
    "bound",
    "client_of",
    "host_name",
    "is_local",
    "is_local_name",
    "listening",
    "security",
    "sender_of",
]
