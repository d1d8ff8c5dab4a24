"""Listeners, connections, TLS and passwords: bounded for each client; knows no calls."""

from bandwidth_voice_exporter.http import basic, security
from bandwidth_voice_exporter.http.clients import Client, Clients
from bandwidth_voice_exporter.http.limits import Bounds, Terms
from bandwidth_voice_exporter.http.listener import ListenError, address_of, bound, listening
from bandwidth_voice_exporter.http.peer import (
    Hosts,
    Network,
    client_of,
    host_name,
    is_local,
    is_local_name,
)
from bandwidth_voice_exporter.http.security import Security
from bandwidth_voice_exporter.http.sender import sender_of
from bandwidth_voice_exporter.http.users import Protected
from bandwidth_voice_exporter.http.watch import (
    Looks,
    Reading,
    UnusableError,
    Watch,
    reading,
    watching,
)
from bandwidth_voice_exporter.http.web_config import WebConfigError

__all__ = [
    "Bounds",
    "Client",
    "Clients",
    "Hosts",
    "ListenError",
    "Looks",
    "Network",
    "Protected",
    "Reading",
    "Security",
    "Terms",
    "UnusableError",
    "Watch",
    "WebConfigError",
    "address_of",
    "basic",
    "bound",
    "client_of",
    "host_name",
    "is_local",
    "is_local_name",
    "listening",
    "reading",
    "security",
    "sender_of",
    "watching",
]
