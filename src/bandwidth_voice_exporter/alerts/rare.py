"""Alerts on rare events: the first of its kind after quiet days fires."""

from collections.abc import Iterator

import msgspec

from bandwidth_voice_exporter.alerts import annotations as say
from bandwidth_voice_exporter.alerts.config import Config
from bandwidth_voice_exporter.alerts.metrics import of_job, select
from bandwidth_voice_exporter.alerts.rulefile import Alert
from bandwidth_voice_exporter.alerts.series import CAUSE, by, on
from bandwidth_voice_exporter.metrics import catalog

# The hour before that, which holds none of the calls counted lately.
_LATELY, _BEFORE = "10m", "15m"


class _Rare(msgspec.Struct, frozen=True):
    name: str
    cause: str
    domain: str
    summary: str
    said: str


_ACCOUNT_LIMIT = _Rare(
    "BandwidthVoiceAccountLimitReached",
    "account-limit",
    "account",
    "A call was refused because the account's limits were reached, for the first time lately.",
    "were refused because the account's limits were reached",
)
_CAPACITY = _Rare(
    "BandwidthVoiceCapacityExceeded",
    "node-capacity-exceeded",
    "bandwidth",
    "A call failed for lack of capacity at Bandwidth, for the first time lately.",
    "ended for lack of capacity at Bandwidth",
)


def alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts on first events."""
    yield _first(config, _ACCOUNT_LIMIT)
    yield _first(config, _CAPACITY)
    yield _new_cause(config)


def _seen(config: Config, matchers: str, labels: tuple[str, ...]) -> str:
    """Return the calls counted lately, where there are any, those of a series just born included.

    One that was there earlier today was not born: only its scrapes had failed.
    """
    calls = select(catalog.CALLS, config.job, matchers)
    # The instance does not matter: counters move to another one with their volume.
    known = f"last_over_time({calls}[1d] offset {_LATELY})"
    there = f"last_over_time(up{{{of_job(config.job)}}}[1d] offset {_LATELY})"
    same = on("application", "direction", "cause", "answered")
    born = f"{calls} unless {same} {known} and {on()} {there}"
    # Calls found in Bandwidth's list did not end just now.
    listed = f"increase({select(catalog.RECONCILED_CALLS, config.job, matchers)}[{_LATELY}]) > 0"
    return (
        f"sum {by(*labels)} (\n  (\n    increase({calls}[{_LATELY}]) > 0\n    or\n    ({born})\n  )"
        f"\n  unless {same} {listed}\n) > 0"
    )


def _unless_known(config: Config, matchers: str, labels: tuple[str, ...]) -> str:
    """Return a set operation that leaves out series counted in the quiet days before."""
    counted = f"{CAUSE.within('1h')}{{{matchers}}}"
    most = f"max_over_time({counted}[{config.quiet_days}d:1h] offset {_BEFORE})"
    return f"unless {on(*labels)}\nmax {by(*labels)} ({most}) > 0"


def _first(config: Config, rare: _Rare) -> Alert:
    matchers = f'cause="{rare.cause}"'
    return Alert(
        name=rare.name,
        expr=(
            f"{_seen(config, matchers, ('direction', 'cause'))}\n"
            f"{_unless_known(config, matchers, ())}"
        ),
        severity="warning",
        fault_domain=rare.domain,
        keep="2m",
        summary=rare.summary,
        description=(
            f"{{{{ $labels.direction }}}} calls {rare.said} just now, and none in the "
            f"{config.quiet_days} days before."
        ),
        dashboard=say.dashboard(
            config.links, say.FAILURES, "job", "direction", "cause", fault_domain=rare.domain
        ),
    )


def _new_cause(config: Config) -> Alert:
    matchers = 'fault_domain="unclassified"'
    return Alert(
        name="BandwidthVoiceNewCause",
        expr=(
            f"{_seen(config, matchers, ('cause',))}\n{_unless_known(config, matchers, ('cause',))}"
        ),
        severity="warning",
        fault_domain="bandwidth",
        keep="2m",
        summary="Calls end with a cause that is not documented.",
        description=(
            "Calls ended with the cause {{ $labels.cause }}, which Bandwidth does not document "
            f"and which was not seen in the {config.quiet_days} days before."
        ),
        dashboard=say.dashboard(config.links, say.FAILURES, "job", "cause"),
    )
