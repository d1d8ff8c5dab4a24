"""When a share is too high: the conditions that alerts on shares have in common."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bandwidth_voice_exporter.alerts.config import Failures
from bandwidth_voice_exporter.alerts.series import WINDOWS, on
from bandwidth_voice_exporter.alerts.share import Share

READY = "direction:bandwidth_voice_baseline_ready:bool"
# With fewer calls than this in 5 minutes, none of them bad says nothing: 15 minutes are.
_FEW = 5
_FEW_BEFORE = 30  # calls in 15 minutes: where there were more, five minutes without any are an end
_LESS_THAN_A_CALL = 0.3
_ESTABLISHED = 0.3
_MINUTES: Mapping[str, int] = MappingProxyType({"5m": 5, "15m": 15, "1h": 60, "6h": 360})
# So that a long window does not alert on a past incident, a shorter one must be surprising too.
_ALSO: Mapping[str, tuple[tuple[str, float], ...]] = MappingProxyType(
    {
        "5m": (),
        "15m": (("5m", 1),),
        "1h": (("15m", 3),),
        "6h": (("1h", 3), ("15m", 3)),
    }
)


def unusual(
    what: Share, limits: Failures, matchers: str = "", windows: Sequence[str] = WINDOWS
) -> str:
    """Return the share where it is surprising in one of the windows, large, and still so.

    While there is no baseline: where it is too high in itself.
    """
    found = "\nor\n".join(_surprising(what, window, limits, matchers) for window in windows)
    unusual_now = f"(\n{indented(found)}\n)\nand (\n{indented(_still(what, limits, matchers))}\n)"
    fallback = _absolute(what, limits, matchers)
    return f"(\n{indented(unusual_now)}\n)\nor\n(\n{indented(fallback)}\n)"


def after_opening(expression: str) -> str:
    """Return an expression where calls came half an hour ago, too.

    When they begin, the short ones end first, and those fail more often.
    """
    ended = "direction:bandwidth_voice_calls:ended15m"
    return (
        f"(\n{indented(expression)}\n)\n"
        f"and {on('direction')} {ended} offset 20m > {_ESTABLISHED} * {ended}"
    )


def as_seen(minutes: int) -> str:
    """Return the factor that takes from a count's deviance what was extrapolated.

    Scraped once a minute, five minutes are four that were seen, and `increase` makes five of them.
    """
    return f"{math.sqrt(1 - 1 / minutes):.3f}"


def at_least(count: str, calls: int) -> str:
    """Return a condition on a count, which ``increase`` may make a little smaller than it is."""
    return f"{count} > {calls - _LESS_THAN_A_CALL:g}"


def indented(text: str) -> str:
    """Return the lines, two spaces further right."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def _surprising(what: Share, window: str, limits: Failures, matchers: str) -> str:
    large = f"{what.series(f'ratio{window}')}{matchers} > {what.series('expected1h')} + "
    also = (_beyond(what, shorter, spreads) for shorter, spreads in _ALSO[window])
    return "\nand ".join(
        (
            f"{large}{limits.points:g}",
            f"{as_seen(_MINUTES[window])} * {_beyond(what, window, limits.zscore)}",
            at_least(what.count.within(window), limits.least_calls),
            *also,
        )
    )


def _still(what: Share, limits: Failures, matchers: str) -> str:
    return (
        f"{what.series('ratio5m')}{matchers} > "
        f"{what.series('expected1h')} + {limits.points / 2:g}\n"
        f"and {_beyond(what, '5m', 1)}\n"
        "or\n"
        f"{what.series('ratio15m')}{matchers}\n"
        f"and {on(*what.of.labels)} {what.of.within('5m')} < {_FEW}\n"
        f"and {on(*what.of.labels)} "
        f"max_over_time({what.of.within('15m')}[14m30s]) < {_FEW_BEFORE}"
    )


def _absolute(what: Share, limits: Failures, matchers: str = "") -> str:
    return (
        f"{what.series('ratio15m')}{matchers} > {limits.absolute:g}\n"
        f"and {at_least(what.count.within('15m'), 2 * limits.least_calls)}\n"
        f"unless {what.series('expected1h')}"
    )


def _beyond(what: Share, window: str, spreads: float) -> str:
    return f"{what.series(f'score{window}')} > {spreads:g}"
