"""The configuration that the shipped rules were made from."""

from alerts.generator import config
from testkit.alert_cases.shipped import ALERTS

CONFIG = config.load(ALERTS / "config.toml")
