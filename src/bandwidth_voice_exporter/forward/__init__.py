"""Handlers that deliveries are passed on to, untouched; nothing of one is kept.

Imported where forwarding is asked for alone: its HTTP client is an extra.
"""

from bandwidth_voice_exporter.forward.authorization import Authorization
from bandwidth_voice_exporter.forward.delivery import Delivery
from bandwidth_voice_exporter.forward.opening import authorization, opened, trusted
from bandwidth_voice_exporter.forward.relay import Relay

__all__ = ["Authorization", "Delivery", "Relay", "authorization", "opened", "trusted"]
