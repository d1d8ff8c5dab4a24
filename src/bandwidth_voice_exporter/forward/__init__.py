"""Handlers that deliveries are passed on to, untouched; nothing of one is kept.

Imported where forwarding is asked for alone: its HTTP client is an extra.
"""

from bandwidth_voice_exporter.forward.delivery import Delivery
from bandwidth_voice_exporter.forward.keys import Keys, keys_of
from bandwidth_voice_exporter.forward.opening import opened, overheard
from bandwidth_voice_exporter.forward.relay import Relay

__all__ = ["Delivery", "Keys", "Relay", "keys_of", "opened", "overheard"]
