"""Alerts on how many calls there are: too few, too many."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.condition import as_seen, at_least, indented
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import of_job
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import CALLS, by, on
from bandwidth_voice_exporter.alerts.share import deviance
from bandwidth_voice_exporter.alerts.volume import OF_DIRECTION

_LABELS = ("job", "direction")
# No day without a fault has fewer than this share of the calls expected.
_VARIES = 0.75
_STILL = 0.6  # of a quarter's expected calls: with more the hour's loss is over
# Of the calls that the hour before makes expect, in the next minutes.
_VARIES_SOON = 0.95
_HOUR, _HOURS = 60, 180  # minutes
# Of an hour's calls and more, where holidays are not known: some have hardly more than half.
_MORE_LOST = 0.05
_FEW = 80  # calls expected in an hour: with fewer, a loss takes hours to be known
# Of seven minutes' calls, a silence: those that talk go on ending, and five minutes expect few.
_LEFT: Mapping[int, float] = MappingProxyType({7: 0.25})
# Of the scrapes that succeeded in as many minutes an hour ago.
_SCRAPED = 0.9


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on too few and too many calls."""
    yield _low(config)
    yield _surge(config)


def _low(config: Config) -> Alert:
    flow = config.flow
    calls = {5: CALLS.within("5m"), 15: OF_DIRECTION.slot, 60: CALLS.within("1h")}
    soon = {
        3: OF_DIRECTION.of_minutes_lately(3),
        5: calls[5],
        7: OF_DIRECTION.of_minutes_lately(7),
        15: calls[15],
    }
    hours = f"({' + '.join(calls[_HOUR] + ago for ago in ('', ' offset 1h', ' offset 2h'))})"
    # Today's share follows a loss that lasts; and a holiday, where none is known.
    of_day = OF_DIRECTION.today_before if config.closed_days else f"{OF_DIRECTION.today} offset 3h"
    usual = {
        **{minutes: (ended, OF_DIRECTION.within(minutes)) for minutes, ended in calls.items()},
        _HOURS: (hours, OF_DIRECTION.usual_of(_HOURS, of_day)),
    }
    # A silence that is over is not told again.
    still = {
        _HOUR: f"\nand {OF_DIRECTION.slot} < {_STILL} * {OF_DIRECTION.within(15)}",
        _HOURS: (
            f"\nand {calls[_HOUR]} < {_STILL} * {OF_DIRECTION.usual_of(_HOUR, of_day)}"
            f"\nand {OF_DIRECTION.usual_of(_HOUR, of_day)} < {_FEW}"
        ),
    }
    of_week = _Limits(flow.lost, _VARIES, flow.zscore, flow.lost_expected)
    for_long = of_week if config.closed_days else of_week._replace(lost=flow.lost + _MORE_LOST)
    of_hour = _Limits(flow.soon_lost, _VARIES_SOON, flow.soon_zscore, flow.lost_expected)
    found = "\nor\n".join(
        (
            *(
                _lost(minutes, ended, expected, for_long if minutes in still else of_week)
                + still.get(minutes, "")
                for minutes, (ended, expected) in usual.items()
            ),
            *(
                _lost(minutes, ended, f"({minutes} * {OF_DIRECTION.soon})", of_hour)
                for minutes, ended in soon.items()
            ),
        )
    )
    # Calls of a failed scrape are missing from the counts of the minutes around it.
    up = f"sum {by()} (sum_over_time(up{{{of_job(config.job)}}}[5m]"
    unscraped = f"{up})) < {_SCRAPED:g} * {up} offset 1h))"
    return Alert(
        name="BandwidthVoiceCallVolumeLow",
        expr=in_hours(
            f"(\n{indented(found)}\n)\nand {OF_DIRECTION.open}{config.flowing} == 1\n"
            f"unless {on()} {unscraped}",
            config,
        ),
        severity="warning",
        fault_domain="pipeline",
        keep="5m",
        summary="Far fewer calls than usual are reported.",
        description=(
            f"{{{{ $labels.direction }}}} calls that ended in 5 minutes: {lately()}, about "
            f"{expected(5)} expected; in 15 minutes: {_calls()}, about {expected(15)} expected."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


class _Limits(NamedTuple):
    """When calls are lost: the share of them, the least share on any day, and how many at least."""

    lost: float
    varies: float
    zscore: float
    least: int


def _lost(minutes: int, ended: str, expected: str, limits: _Limits) -> str:
    """Return that of the calls expected in some minutes far too few ended."""
    score = deviance(ended, f"({limits.varies} * {expected})")
    return (
        f"{ended} < {_LEFT.get(minutes, 1 - limits.lost):g} * {expected}\n"
        f"and {expected} >= {limits.least}\n"
        f"and {as_seen(minutes)} * {score}\n"
        f"< -{limits.zscore:g}"
    )


def _surge(config: Config) -> Alert:
    calls, factor = OF_DIRECTION.slot, config.flow.surge
    above = "\nand ".join(
        f"{calls}{config.flowing} > {factor:g} * {reference}"
        for reference in (OF_DIRECTION.busiest(config.clock), before())
    )
    if config.switched_by_hand:
        # The time at which people begin says nothing: it is compared with all of the week.
        busiest = f"max_over_time({calls}{config.by_hand}[1w:15m] offset 1h)"
        above = f"(\n{indented(above)}\n  or\n  {calls} > {factor:g} * {busiest}\n)"
    return Alert(
        name="BandwidthVoiceCallSurge",
        expr=f"{above}\nand {at_least(calls, config.flow.surge_least_calls)}",
        severity="warning",
        fault_domain="user",
        lasts="5m",
        keep="10m",
        summary="Far more calls than usual are reported.",
        description=(
            f"{say.VALUE_NUMBER} {{{{ $labels.direction }}}} calls ended in 15 minutes, more than "
            f"{factor:g} times as many as at this time last week and in the two hours before: "
            "a dialler that loops, a flood of callers, or fraud."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def in_hours(expression: str, config: Config) -> str:
    """Return an expression in the hours in which missing calls matter."""
    hours = config.office_hours
    if hours is None:
        return expression
    first, last = hours.from_hour, hours.to_hour
    at = ""
    if first > last:
        # Past midnight it is still the day on which they began: the clock begins with them.
        at, first, last = f"vector(time() - {3600 * first})", 0, last + 24 - first
    both = "and" if hours.first_day <= hours.last_day else "or"
    return (
        f"(\n{indented(expression)}\n)\n"
        f"and on () (day_of_week({at}) >= {hours.first_day}"
        f" {both} day_of_week({at}) <= {hours.last_day})\n"
        f"and on () (hour({at}) >= {first} and hour({at}) < {last})"
    )


def before() -> str:
    """Return the calls of the two hours before the last quarter, per quarter."""
    hour = CALLS.within("1h")
    return f"({hour} offset 15m + {hour} offset 1h15m) / 8"


def expected(minutes: int) -> str:
    """Return a template of the calls expected in the last minutes."""
    return say.looked_up(OF_DIRECTION.within(minutes, "{}"), _LABELS, say.NUMBER)


def lately() -> str:
    """Return a template of the calls of five minutes."""
    return say.looked_up(f"{OF_DIRECTION.lately}{{}}", _LABELS, say.NUMBER)


def _calls() -> str:
    return say.looked_up(f"{OF_DIRECTION.slot}{{}}", _LABELS, say.NUMBER)
