"""Realistic disconnect webhooks over real HTTP, for trying and testing a receiver."""
