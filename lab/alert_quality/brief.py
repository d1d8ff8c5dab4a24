"""The table of docs/quality.md: the shipped rules' figures beside what was aimed at."""

import operator
from collections.abc import Callable, Iterator, Mapping

import msgspec

from lab.alert_quality.catalogue import LEVELS
from lab.alert_quality.figures import TECHNICAL, Figures

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge}


class _Aim(msgspec.Struct, frozen=True):
    """A figure, or a median and a 90th percentile, and their limits by level of traffic."""

    what: str
    figures: Callable[[Figures], tuple[float, ...]]
    shown: str
    sign: str
    limits: Mapping[int, tuple[float, ...]]

    def cell(self, level: int, of: Figures) -> str:
        """A measured figure, and its limit."""
        limits = self.limits.get(level)
        if limits is None:
            return ""
        found = self.figures(of)
        # As shown, so that nothing is said to be missed, or met, that does not look so.
        texts = [self.shown.format(value) for value in found]
        met = all(
            _SIGNS[self.sign](float(text), limit) for text, limit in zip(texts, limits, strict=True)
        )
        aim = " / ".join(f"{limit:g}" for limit in limits)
        return f"{' / '.join(texts)} ({self.sign} {aim}){'' if met else ' **missed**'}"


def _each(*limits: float) -> Mapping[int, tuple[float, ...]]:
    return {level: (limit,) for level, limit in zip(LEVELS, limits, strict=True)}


_AIMS = (
    _Aim(
        "false critical alarms a week",
        lambda of: (of.false_critical / of.weeks,),
        "{:.2f}",
        "≤",
        _each(0.1, 0.1, 0.1, 0.1),
    ),
    _Aim(
        "false alarms of any severity a week",
        lambda of: (of.false_any / of.weeks,),
        "{:.2f}",
        "≤",
        _each(0.3, 0.3, 0.5, 0.3),
    ),
    _Aim(
        "found, of application's and Bandwidth's incidents",
        lambda of: (of.recalled(TECHNICAL).value,),
        "{:.3f}",
        "≥",
        _each(0.9, 0.97, 0.98, 0.99),
    ),
    _Aim(
        "found, of all material incidents",
        lambda of: (of.recalled().value,),
        "{:.3f}",
        "≥",
        _each(0.75, 0.85, 0.93, 0.97),
    ),
    _Aim(
        "minutes until detected, median / 90th percentile",
        lambda of: (of.detected.median, of.detected.p90),
        "{:.0f}",
        "≤",
        {10: (5, 25), 60: (3, 8), 30_000: (2, 4)},
    ),
    _Aim(
        "… where at least 60 % of calls fail",
        lambda of: (of.detected_large.median, of.detected_large.p90),
        "{:.0f}",
        "≤",
        {1: (15, 45)},
    ),
    _Aim(
        "… where about 20 % of calls fail, median",
        lambda of: (of.detected_fifth.median,),
        "{:.0f}",
        "≤",
        {1: (35,)},
    ),
    _Aim(
        "minutes until resolved, 90th percentile",
        lambda of: (of.cleared.p90,),
        "{:.0f}",
        "≤",
        _each(30, 20, 15, 15),
    ),
    _Aim(
        "… of every right alert, slow tickets too",
        lambda of: (of.resolved.p90,),
        "{:.0f}",
        "≤",
        _each(30, 20, 15, 15),
    ),
    _Aim(
        "right fault domain named first",
        lambda of: (of.named.value,),
        "{:.3f}",
        "≥",
        _each(0.95, 0.98, 0.99, 0.99),
    ),
)


def rows(ours: Mapping[int, Figures]) -> Iterator[list[str]]:
    """Yield a title and a cell for each level there are figures of, aim by aim."""
    for aim in _AIMS:
        yield [aim.what, *(aim.cell(level, of) for level, of in ours.items())]
