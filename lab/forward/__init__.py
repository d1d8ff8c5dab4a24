"""Forwarding: what it gets through, withstands and costs."""
