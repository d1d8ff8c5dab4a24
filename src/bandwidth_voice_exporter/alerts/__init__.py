"""The alert rules, generated from one configuration."""
