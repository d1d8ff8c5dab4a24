"""Failure ratios beside the limits at which the alerts fire."""

from collections.abc import Mapping

from bandwidth_voice_exporter.dashboards.colour import DOMAINS, RED, WAYS, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import NO_CALLS, NO_RULES, directed
from bandwidth_voice_exporter.dashboards.query import HOUR, Scope, increase, of_rules, share, total
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice import DIRECTIONS

SCOPE = Scope(("direction",))
BASELINE_READY = "direction:bandwidth_voice_baseline_ready:bool"
THRESHOLD = "direction_fault_domain:bandwidth_voice_failure_ratio:threshold1h"


def all_three() -> tuple[Json, Json, Json]:
    """Return inbound, outbound, and what the people on the line did in either."""
    inbound, outbound = (_of_direction(direction) for direction in DIRECTIONS)
    return inbound, outbound, _of_users()


def _of_direction(direction: str) -> Json:
    only = f'direction="{direction}"'
    others = 'fault_domain=~"application|account|bandwidth"'
    title = f"Failing in the last hour, {direction}"
    return _last_hour(title, (only,), (only, others), "{{fault_domain}}", DOMAINS)


def _of_users() -> Json:
    title = "Not reached in the last hour"
    return _last_hour(title, (), ('fault_domain="user"',), "{{direction}}", WAYS)


def baseline() -> Json:
    """Return whether there are limits that follow from what is usual."""
    about = About(
        "Alert baseline",
        "Whether the alert rules have the eight days of history that their thresholds are made "
        "of. Before, only absolute limits apply.",
        "*learning* for longer than eight days means that Prometheus keeps too little, or that "
        "the job was renamed.",
        NO_RULES,
    )
    ready = of_rules(BASELINE_READY, 'direction=~"$direction"')
    expr = f"min by (direction) ({ready})"
    words = {"1": ("ready", "green"), "0": ("learning", RED)}
    return stat(about, Look("short", words=words), directed(expr))


def _last_hour(
    title: str,
    ended: tuple[str, ...],
    failed: tuple[str, ...],
    name: str,
    colours: Mapping[str, str],
) -> Json:
    """Return the share of the last hour, as the alerts see it, with their thresholds."""
    about = About(
        title,
        "Solid: of the calls that ended in the hour before, the share that failed, over all "
        "applications. Dashed: the share at which the alert for one hour fires, over all "
        "instances; it follows from what is usual, and is there where the alert rules are loaded.",
        "a line over its dashed one fires, or is about to. The colour says whose fault it is; the "
        "drill-down says which application and shows calls.",
        NO_CALLS,
    )
    expr = share(
        total("job, direction, fault_domain", increase(SCOPE.of(catalog.CALLS, *failed), HOUR)),
        total("job, direction", increase(SCOPE.of(catalog.CALLS, *ended), HOUR)),
        "on (job, direction) group_left ()",
    )
    limits = of_rules(THRESHOLD, 'direction=~"$direction"', *failed)
    return lines(
        about,
        Look("percentunit", colours, least=0),
        Target(expr, f"{name}, {{{{job}}}}"),
        Target(limits, f"{name}, {{{{job}}}}, threshold"),
        dashed="B",
        every="5m",
    )
