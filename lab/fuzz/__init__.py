"""Inputs that are thrown at the exporter to break it: made from good events, by chance."""
