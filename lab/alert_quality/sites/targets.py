"""What was aimed at, by group of sites and level, before any of it was measured."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from lab.alert_quality.sites.demand import LEVELS
from lab.alert_quality.sites.figures import SiteFigures
from lab.alert_quality.sites.run import Group

_ByLevel = tuple[float, float, float, float]
_NONE = math.nan


class Target(msgspec.Struct, frozen=True):
    """``aims`` are by level and group, not a number where there is none; limits or least values."""

    value: Callable[[SiteFigures], float]
    aims: Mapping[Group, _ByLevel]
    at_most: bool

    def aim(self, group: Group, level: int) -> float:
        """Return what is aimed at."""
        return self.aims[group][LEVELS.index(level)]

    def said(self, of: SiteFigures, group: Group, level: int) -> str:
        """Return the aim in brackets, and whether it was missed; nothing where there is none."""
        aim, value = self.aim(group, level), self.value(of)
        if math.isnan(aim) or math.isnan(value):
            return ""
        met = value <= aim if self.at_most else value >= aim
        return f" ({'≤' if self.at_most else '≥'} {aim:g}){'' if met else ' **missed**'}"


def _least(value: Callable[[SiteFigures], float], day: _ByLevel, other: _ByLevel) -> Target:
    return _target(value, day, other, other, at_most=False)


def _most(value: Callable[[SiteFigures], float], day: _ByLevel, other: _ByLevel) -> Target:
    return _target(value, day, other, other, at_most=True)


def _target(
    value: Callable[[SiteFigures], float],
    day: _ByLevel,
    other: _ByLevel,
    by_hand: _ByLevel,
    *,
    at_most: bool,
) -> Target:
    aims: dict[Group, _ByLevel] = {"24/7": day, "other": other, "by hand": by_hand}
    return Target(value, MappingProxyType(aims), at_most)


def _all(value: float) -> _ByLevel:
    return (value, value, value, value)


FALSE_PAGES = _most(lambda of: of.false_pages.value, _all(0.05), _all(0.1))
FALSE_ALARMS = _target(
    lambda of: of.false_alarms.value,
    (0.4, 0.2, 0.3, 0.3),
    (1, 1, 1, 1.5),
    (2, 2, 2, 3),
    at_most=True,
)
TECHNICAL = _least(
    lambda of: of.technical.value, (0.95, 0.98, 0.98, 0.98), (0.93, 0.97, 0.97, 0.97)
)
MATERIAL = _least(lambda of: of.material.value, (0.9, 0.95, 0.95, 0.95), (0.85, 0.92, 0.92, 0.92))
# Of traffic that people switch it is reported without a target.
LOST = _target(lambda of: of.lost.value, _all(0.97), _all(0.95), _all(_NONE), at_most=False)
LOST_MONDAYS = _target(
    lambda of: of.lost_mondays.value, _all(0.97), _all(0.9), _all(_NONE), at_most=False
)
LOST_FLAPPING = _target(
    lambda of: of.lost_flapping.value, _all(0.97), _all(0.95), _all(_NONE), at_most=False
)
SILENCE = _most(lambda of: of.silence_told.median, (_NONE, 5, 3, _NONE), (_NONE, 6, 4, _NONE))
FAILURES = _most(
    lambda of: of.failures_told.median, (_NONE, _NONE, 3, _NONE), (_NONE, _NONE, 4, _NONE)
)
HELD = _least(lambda of: of.held.value, _all(0.97), _all(0.95))
RESOLVED = _most(lambda of: of.cleared.p90, (25, 20, 15, 15), (25, 20, 15, 15))
NOTIFIED = _most(lambda of: of.notified.p90, _all(1), _all(2))
NAMED = _least(lambda of: of.named.value, _all(0.99), _all(0.98))
