"""Panels on the comparison with Bandwidth's own list of calls."""

from bandwidth_voice_exporter.dashboards.colour import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, bars, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import NONE, RATIO, by_name, counts
from bandwidth_voice_exporter.dashboards.query import Scope, per_minute
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope()
NOT_COMPARED = "nothing is compared"


def last() -> Json:
    """Return how long ago the last comparison was finished."""
    about = About(
        "Last comparison",
        "Time since the exporter last compared its ledger with Bandwidth's list of calls.",
        "more than twice `--reconcile.interval`: see the failures beside it, and the log.",
        NOT_COMPARED,
    )
    expr = f"time() - max({SCOPE.of(catalog.RECONCILE_SUCCESS)} > 0)"
    return stat(about, Look("s", decimals=0), Target(expr, "ago"))


def verdicts() -> Json:
    """Return what the ledger says of the listed calls."""
    about = About(
        "Listed calls per minute by verdict",
        "Ended calls of Bandwidth's list, when they are compared: counted by a webhook, recorded "
        "from the list, missed, or why that cannot be said.",
        "missed or recorded: webhooks did not come; docs/reconcile.md says what now. "
        "not_configured: Bandwidth is not asked to send them.",
        NOT_COMPARED,
    )
    expr = f"{per_minute('verdict', SCOPE.of(catalog.RECONCILE_CALLS))} > 0"
    colours = {
        "counted": GREEN,
        "recorded": BLUE,
        "missed": RED,
        "not_configured": GREY,
        "partial": ORANGE,
        "pruned": PURPLE,
    }
    return by_name(bars(about, Look("cpm", colours), Target(expr, "{{verdict}}")))


def coverage() -> Json:
    """Return what share of the listed calls webhooks tell of."""
    about = About(
        "Share of listed calls that webhooks reported",
        "In seven days, outside outages, by application and direction; transfer are second legs.",
        "0: nobody asks Bandwidth for these (`CallStatusCallbackUrl`, `disconnectUrl`, "
        "`transferDisconnectUrl`). Between 0 and 99 %: only some of the calls ask for it.",
        NOT_COMPARED,
    )
    expr = f"min by (application, direction) ({SCOPE.of(catalog.RECONCILE_COVERAGE)})"
    return by_name(lines(about, RATIO, Target(expr, "{{application}} {{direction}}")))


def failures() -> Json:
    """Return what kept a comparison from its end."""
    return counts(
        About(
            "Comparisons in vain, per minute",
            "By the reason; the next one goes on where the last one that was finished ended.",
            "token, forbidden or credentials: look at the client id, its secret and its role. "
            "docs/reconcile.md has what each reason means.",
            NONE,
        ),
        catalog.RECONCILE_FAILURES,
        "reason",
        {},
    )
