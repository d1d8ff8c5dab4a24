"""Evidence to follow up: alerts that fire, and the ids of failed calls."""

from bandwidth_voice_exporter.dashboards.board import ALERTS_FIRING
from bandwidth_voice_exporter.dashboards.colour import DOMAINS, KNOWN_CAUSES, SEVERITIES, Json
from bandwidth_voice_exporter.dashboards.panel import About, Target
from bandwidth_voice_exporter.dashboards.pieces import NO_FAILURES
from bandwidth_voice_exporter.dashboards.query import Scope
from bandwidth_voice_exporter.dashboards.table import Column, table
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope(("direction", "cause"))


def alerts() -> Json:
    """Return the alerts that fire."""
    about = About(
        "Firing alerts",
        "Alerts of the shipped rules that fire at the end of the time range.",
        "the alert's runbook says what to do; where several fire, begin with the critical ones.",
        "no alert fires",
    )
    by = "severity, alertname, fault_domain, direction"
    return table(
        about,
        (
            Column("severity", "Severity", width=80, colours=SEVERITIES),
            Column("alertname", "Alert"),
            Column("fault_domain", "Fault domain", width=110, colours=DOMAINS),
            Column("direction", "Direction", width=90),
        ),
        Target(f"max by ({by}) ({ALERTS_FIRING})"),
    )


def error_ids() -> Json:
    """Return the most recent error ids, each with a link to its call."""
    about = About(
        "Recent error ids",
        "The error ids that the exporter shows at present: the most recent ones, spread over the "
        "causes, each of one failed call.",
        "a click on an id leads to the call on the exporter's failures page (its address is the "
        "variable *Exporter's pages*); give ids of the fault domain bandwidth to Bandwidth's "
        "support.",
        NO_FAILURES,
    )
    selector = SCOPE.of(catalog.CALL_ERRORS, 'error_id!~"none|other"')
    link = "${exporter_url:raw}/failures?error_id=${__value.raw}"
    return table(
        about,
        (
            Column("error_id", "Error id", link=("Show the call", link)),
            Column("cause", "Cause", width=180, colours=KNOWN_CAUSES),
            Column("direction", "Direction", width=100),
            Column("instance", "Instance", width=180),
            Column("Value", "Calls", "locale", 60),
        ),
        Target(f"max by (error_id, cause, direction, instance) ({selector}) > 0"),
        sort_by="Cause",
    )
