"""The dashboard of call outcomes, which asks whether calls end as they should."""

from bandwidth_voice_exporter.dashboards import thresholds, times
from bandwidth_voice_exporter.dashboards.board import FAILURES, OUTCOMES, board, variables
from bandwidth_voice_exporter.dashboards.colour import DOMAINS, KNOWN_CAUSES, WAYS, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, bars, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import NO_CALLS, RATIO, directed
from bandwidth_voice_exporter.dashboards.query import (
    LAST_WEEK,
    Scope,
    increase,
    per_minute,
    share,
    total,
)
from bandwidth_voice_exporter.dashboards.table import Column, table
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope(("application", "direction"))
CALLS = SCOPE.of(catalog.CALLS)
ANSWERED = SCOPE.of(catalog.CALLS, 'answered="true"')
# A call that the account's limits refused was never offered to the network.
OFFERED = SCOPE.of(catalog.CALLS, 'cause!="account-limit"')


def dashboard() -> Json:
    """Return the dashboard."""
    rows = (
        (4, ((3, _calls()), (4, _asr()), (4, _ner()), (5, _failing()), (4, _acd()), (4, _last()))),
        (9, ((12, _calls_per_minute()), (12, _causes()))),
        (13, tuple((8, panel) for panel in thresholds.all_three())),
        (9, ((12, times.duration()), (12, times.durations()))),
        (11, ((18, _table()), (6, thresholds.baseline()))),
    )
    return board(OUTCOMES, rows, variables(failures=False))


def _calls() -> Json:
    about = About(
        "Calls ended",
        "Calls that ended in the time range. All ratios beside it are of these calls: with few of "
        "them a ratio says little.",
        "with none or far fewer than usual, look at *Last event* and at the exporter's dashboard "
        "first: it may be the webhooks that are missing, not the calls.",
        NO_CALLS,
    )
    look = Look("locale", WAYS, decimals=0, words={"0": (NO_CALLS, "text")})
    return stat(about, look, directed(total("direction", increase(CALLS))))


def _asr() -> Json:
    about = About(
        "Answer-seizure ratio",
        "Answered calls among all but those that the account's limits refused (ITU-T E.411).",
        "see which cause grew in *Outcomes by cause*. Outbound, a fall with busy, timeout or "
        "rejected is about who is called or how the number is labelled; a fall with other causes "
        "is technical.",
        NO_CALLS,
    )
    expr = share(total("direction", increase(ANSWERED)), total("direction", increase(OFFERED)))
    return stat(about, RATIO, directed(expr))


def _ner() -> Json:
    about = About(
        "Network effectiveness",
        "Calls that did not fail at Bandwidth, among all but those that the account's limits "
        "refused (ITU-T E.425). Busy, unanswered and rejected calls were delivered by the network.",
        "it is Bandwidth's to mend: take error ids from the drill-down to its status page and "
        "support.",
        NO_CALLS,
    )
    failed = SCOPE.of(catalog.CALLS, 'fault_domain="bandwidth"')
    quotient = share(total("direction", increase(failed)), total("direction", increase(OFFERED)))
    return stat(about, RATIO, directed(f"1 - {quotient}"))


def _failing() -> Json:
    about = About(
        "Failing calls by fault domain",
        "Of all calls, the share that ended by whose fault: user is what the people on the line "
        "did, application is the server that answers Bandwidth with BXML, account its limits.",
        "open the drill-down with the fault domain that grew. application: look at your server's "
        "log; account: ask for higher limits or call slower; bandwidth: open a ticket with error "
        "ids; unclassified: a cause that is new.",
        NO_CALLS,
    )
    failed = SCOPE.of(catalog.CALLS, 'fault_domain!="none"')
    expr = share(
        total("fault_domain", increase(failed)),
        total("", increase(CALLS)),
        "on () group_left ()",
    )
    return stat(
        about,
        Look("percentunit", DOMAINS, decimals=1, least=0, most=1),
        Target(expr, "{{fault_domain}}"),
    )


def _acd() -> Json:
    about = About(
        "Average duration",
        "Talk time by answered calls, from answer to end.",
        "a collapse means that callers give up or are cut off: see the short calls and the calls "
        "cut off in the drill-down. A jump may be calls that nobody hangs up.",
        NO_CALLS,
    )
    expr = share(
        total("direction", increase(SCOPE.of(catalog.TALK))),
        total("direction", increase(ANSWERED)),
    )
    return stat(about, Look("s", WAYS, decimals=1), directed(expr))


def _last() -> Json:
    about = About(
        "Last event",
        "Time since the last disconnect webhook came.",
        "compare it with the usual gap on the exporter's dashboard. If it is much longer, place a "
        "call yourself; if that does not arrive either, check the webhook address, the "
        "credentials and the rejected requests.",
        NO_CALLS,
    )
    expr = f"time() - max({SCOPE.of(catalog.LAST_EVENT)} > 0)"
    return stat(about, Look("s", decimals=0), Target(expr, "ago"), names=False)


def _calls_per_minute() -> Json:
    about = About(
        "Calls per minute",
        "Calls as they end; dashed the same time last week.",
        "a fall is lost traffic, or webhooks that do not arrive (see the exporter's dashboard); a "
        "jump may be a campaign, a dialler in a loop, or fraud.",
        NO_CALLS,
    )
    return lines(
        about,
        Look("cpm", WAYS, wide=True),
        directed(per_minute("direction", CALLS)),
        Target(per_minute("direction", CALLS, LAST_WEEK), "{{direction}}, last week"),
        dashed="B",
    )


def _causes() -> Json:
    about = About(
        "Outcomes by cause",
        "Of the calls that ended, the share of each cause; green is the normal end. A cause is of "
        "its fault domain's hue: blue user, orange application, purple account, red Bandwidth, "
        "grey not documented.",
        "the colour that grew says whose fault it is; follow its row in the table below to the "
        "drill-down.",
        NO_CALLS,
    )
    expr = f"{per_minute('cause', CALLS)} > 0"
    return bars(
        about,
        Look("cpm", KNOWN_CAUSES, wide=True),
        Target(expr, "{{cause}}"),
        stacking="percent",
        every="2m",
    )


def _table() -> Json:
    about = About(
        "Causes",
        "How the calls of the time range ended, and how they did at the same time last week. A "
        "click on a cause leads to the drill-down.",
        "follow a cause far above last week's; start with those that are not the users'.",
        NO_CALLS,
    )
    by = "cause, fault_domain"
    counted = total(by, increase(CALLS))
    part = share(counted, total("", increase(CALLS)), "on () group_left ()")
    last_week = total(by, increase(CALLS, offset=LAST_WEEK))
    link = f"/d/{FAILURES}?${{__url_time_range}}&${{__all_variables}}&var-cause=${{__value.raw}}"
    return table(
        about,
        (
            Column("cause", "Cause", colours=KNOWN_CAUSES, link=("Drill down", link)),
            Column("fault_domain", "Fault domain", colours=DOMAINS),
            Column("Value #A", "Calls", "locale", 100),
            Column("Value #B", "Share", "percentunit", 100),
            Column("Value #C", "Calls last week", "locale", 140),
        ),
        Target(f"{counted} > 0"),
        Target(f"{part} > 0"),
        Target(f"{last_week} > 0"),
        sort_by="Calls",
    )
