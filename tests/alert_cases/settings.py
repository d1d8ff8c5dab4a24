"""The configuration that the shipped rules were made from."""

from alert_cases.shipped import ALERTS
from alerts.generator import config

CONFIG = config.load(ALERTS / "config.toml")
