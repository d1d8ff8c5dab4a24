"""Alerts on how many calls there are, and when they are reported."""

from collections.abc import Iterator

from alerts.generator import annotations as say
from alerts.generator import volume
from alerts.generator.condition import READY, at_least, indented
from alerts.generator.config import Config, OfficeHours
from alerts.generator.metrics import grown, of_job, select, up_to
from alerts.generator.rulefile import Alert
from alerts.generator.series import CALLS, by, on
from bandwidth_voice_exporter.metrics import catalog

_LABELS = ("job", "direction")
# Calls do not become fewer than this share of what they were within the hours before: the
# allowance while there is no baseline.
_EVENING = 0.3
_SOON_SECONDS = 5
# Webhooks that are held back for ten minutes are told as lost volume; nobody is woken for them.
_SILENCES = ("15m", "1h")
# Of the scrapes that succeeded in as many minutes an hour ago.
_SCRAPED = 0.9


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on the flow of calls."""
    yield _silent(config)
    yield _low(config)
    yield _surge(config)
    yield from _late(config)


def _silent(config: Config) -> Alert:
    least = config.flow.silent_expected
    none = [
        f"{CALLS.within(window)} == 0 and {volume.expected(window)} >= {least}"
        for window in _SILENCES
    ]
    without = (
        f"{CALLS.within('15m')} == 0\n"
        f"and {_EVENING} * {volume.before('15m')} >= {least}\n"
        f"and {READY} == 0"
    )
    return Alert(
        name="BandwidthVoiceCallsSilent",
        expr=_in_hours("\nor\n".join((*none, without)), config.office_hours),
        severity="critical",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="No calls are reported any more.",
        description=(
            "No {{ $labels.direction }} call has ended in 15 minutes; expected at least: "
            f"{_expected('15m')}. Calls do not come, or their webhooks do not arrive."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _low(config: Config) -> Alert:
    flow = config.flow
    found = "\nor\n".join(
        f"{CALLS.within(window)} < {1 - flow.lost:g} * {volume.expected(window)}\n"
        f"and {volume.score(window)} < -{flow.zscore:g}"
        for window in volume.WINDOWS
    )
    still = f"{CALLS.within('5m')} < {1 - flow.lost / 2:g} * {volume.expected('5m')}"
    # What was not scraped is missing from the counts of the minutes around it.
    up = f"sum {by()} (sum_over_time(up{{{of_job(config.job)}}}[5m]"
    unscraped = f"{up})) < {_SCRAPED:g} * {up} offset 1h))"
    return Alert(
        name="BandwidthVoiceCallVolumeLow",
        expr=_in_hours(
            f"(\n{indented(found)}\n)\nand {still}\nunless {on()} {unscraped}", config.office_hours
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="1m",
        keep="5m",
        summary="Far fewer calls than usual are reported.",
        description=(
            f"{{{{ $labels.direction }}}} calls that ended in 15 minutes: {_calls('15m')}; "
            f"expected at least: {_expected('15m')}."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _surge(config: Config) -> Alert:
    calls, factor = CALLS.within("15m"), config.flow.surge
    above = (
        f"{calls} > {factor:g} * {reference}"
        for reference in (volume.last_week("15m"), volume.yesterday("15m"), volume.before("15m"))
    )
    return Alert(
        name="BandwidthVoiceCallSurge",
        expr="\nand ".join((*above, at_least(calls, config.flow.surge_least_calls))),
        severity="warning",
        fault_domain="user",
        lasts="5m",
        keep="10m",
        summary="Far more calls than usual are reported.",
        description=(
            f"{say.VALUE_NUMBER} {{{{ $labels.direction }}}} calls ended in 15 minutes, more than "
            f"{factor:g} times those of last week, of yesterday and of the two hours before: "
            "a dialler that loops, a flood of callers, or fraud."
        ),
        dashboard=say.dashboard(config.links, say.OUTCOMES, *_LABELS),
    )


def _late(config: Config) -> Iterator[Alert]:
    flow = config.flow

    def within(window: str, seconds: int) -> str:
        bucket = select(catalog.DELAY, config.job, up_to(seconds), sample="bucket")
        return grown(bucket, window)

    def all_in(window: str) -> str:
        count = select(catalog.DELAY, config.job, sample="count")
        return grown(count, window)

    yield Alert(
        name="BandwidthVoiceWebhooksLate",
        expr=(
            f"1 - {within('15m', flow.late_seconds)}\n  / {all_in('15m')}\n"
            f"> {flow.late_share:g}\n"
            f"and {at_least(all_in('15m'), 20)}\n"
            f"unless {_skewed(within('1h', _SOON_SECONDS), all_in('1h'))}"
        ),
        severity="warning",
        fault_domain="pipeline",
        lasts="10m",
        keep="5m",
        summary="Webhooks arrive late.",
        description=(
            f"{say.VALUE_SHARE} of the webhooks of the last 15 minutes came more than "
            f"{flow.late_seconds} seconds after their event: other alerts on calls are late too."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )
    yield Alert(
        name="BandwidthVoiceClockSkewed",
        expr=_skewed(within("1h", _SOON_SECONDS), all_in("1h")),
        severity="warning",
        fault_domain="pipeline",
        lasts="10m",
        summary="Every webhook seems to arrive late: check the clock.",
        description=(
            f"None of the {say.VALUE_NUMBER} webhooks of the last hour came within "
            f"{_SOON_SECONDS} seconds of its event: the exporter's clock is ahead, or all "
            "deliveries are delayed."
        ),
        dashboard=say.dashboard(config.links, say.EXPORTER, "job"),
    )


def _skewed(soon: str, everything: str) -> str:
    return f"({at_least(everything, 20)} and {soon} == 0)"


def _in_hours(expression: str, hours: OfficeHours | None) -> str:
    if hours is None:
        return expression
    return (
        f"(\n{indented(expression)}\n)\n"
        f"and on () (day_of_week() >= {hours.first_day} and day_of_week() <= {hours.last_day})\n"
        f"and on () (hour() >= {hours.from_hour} and hour() < {hours.to_hour})"
    )


def _expected(window: str) -> str:
    return say.looked_up(f"{volume.expected(window)}{{}}", _LABELS, say.NUMBER)


def _calls(window: str) -> str:
    return say.looked_up(f"{CALLS.within(window)}{{}}", _LABELS, say.NUMBER)
