"""What recording rules would have stored, had Prometheus evaluated them all the while."""

import time

from lab.alert_quality.replay import recorded
from lab.alert_quality.rules import RuleSet
from lab.alert_quality.server import Grid, Storage

_NEAR = 2.0  # seconds: less than Prometheus looks back for a sample


def backfill(storage: Storage, rules: RuleSet, start: float) -> None:
    """Record everything from ``start`` (unix seconds) until now."""
    begin = start
    while (now := time.time()) - begin > _NEAR:
        # What takes half a minute the first time leaves half a minute, which takes a second.
        for rule in rules.rules:
            if rule.record:
                grid = Grid(
                    round(begin * 1000),
                    round(rule.interval * 1000),
                    int((now - begin) / rule.interval),
                )
                found = storage.evaluate(rule.expr, grid)
                storage.write(recorded(rule, grid, one) for one in found)
        begin = now
