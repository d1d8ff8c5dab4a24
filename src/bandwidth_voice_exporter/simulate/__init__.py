"""Realistic disconnect webhooks over real HTTP, for trying and testing a receiver."""

from bandwidth_voice_exporter.simulate.command import main

__all__ = ["main"]
