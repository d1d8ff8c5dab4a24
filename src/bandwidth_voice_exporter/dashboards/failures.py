"""The drill-down, which asks who or what is failing, since when, and for a call of it."""

from bandwidth_voice_exporter.dashboards import evidence, times
from bandwidth_voice_exporter.dashboards.board import FAILURES, Row, board, variables
from bandwidth_voice_exporter.dashboards.colour import KNOWN_CAUSES, WAYS, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, bars, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import (
    NO_CALLS,
    NO_FAILURES,
    RATIO,
    by_name,
    directed,
)
from bandwidth_voice_exporter.dashboards.query import (
    LAST_WEEK,
    Scope,
    increase,
    per_minute,
    rate,
    share,
    total,
)
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope(("application", "direction", "fault_domain", "cause"))
FAILED = SCOPE.of(catalog.CALLS, 'fault_domain!="none"')
CUT_OFF = SCOPE.of(catalog.CALLS, 'fault_domain!="none"', 'answered="true"')
# The denominator of a share: failed or not, whatever the cause.
ENDED = SCOPE.of(catalog.CALLS, free=("fault_domain", "cause"))
ANSWERED = SCOPE.of(catalog.CALLS, 'answered="true"', free=("fault_domain", "cause"))
SHORT = SCOPE.of(catalog.SHORT_CALLS)

LAST_WEEK_COLOUR = "#CCCCDC"


def dashboard() -> Json:
    """Return the dashboard."""
    rows: tuple[Row, ...] = (
        (4, ((8, _failed()), (8, _cut_off()), (8, _short()))),
        (9, ((12, _by_cause()), (12, _by_application()))),
        (10, ((10, evidence.alerts()), (14, evidence.error_ids()))),
        (9, ((8, _by_direction()), (8, _cut_off_over_time()), (8, _short_over_time()))),
        (9, ((8, times.setup()), (8, times.unanswered()), (8, times.queue()))),
        (9, ((12, _rejections()), (12, _transfers()))),
    )
    return board(FAILURES, rows, variables(failures=True))


def _failed() -> Json:
    about = About(
        "Failed calls",
        "Calls of the time range that ended other than by a hangup.",
        "see which cause and which application they are of, then open one of the error ids.",
        NO_FAILURES,
    )
    expr = total("direction", increase(FAILED))
    return stat(about, Look("locale", WAYS, decimals=0), directed(expr))


def _cut_off() -> Json:
    about = About(
        "Cut off mid-conversation",
        "Calls that were answered and then ended by a failure: people noticed.",
        "callback-error, invalid-bxml and application-error are your server's: see its log at "
        "those times. error, unknown and node-capacity-exceeded are Bandwidth's.",
        NO_FAILURES,
    )
    expr = total("direction", increase(CUT_OFF))
    return stat(about, Look("locale", WAYS, decimals=0), directed(expr))


def _short() -> Json:
    about = About(
        "Short calls",
        "Of the answered calls, those of at most 6 s, however they ended.",
        "outbound, voicemail or an angry callee; inbound, an announcement that sends callers away "
        "or a flow that breaks at once. Place a call and listen.",
        NO_CALLS,
    )
    expr = share(total("direction", increase(SHORT)), total("direction", increase(ANSWERED)))
    return stat(about, RATIO, directed(expr))


def _by_cause() -> Json:
    about = About(
        "Failures per minute by cause",
        "Bars: failed calls as they end. Dashed: all of them at the same time last week.",
        "a failure begins where its colour begins to grow: look for a deployment or a change at "
        "that time.",
        NO_FAILURES,
    )
    return _per_minute(about, "cause", FAILED, wide=True)


def _by_application() -> Json:
    about = About(
        "Failures per minute by application",
        "Bars: failed calls as they end. Dashed: all of them at the same time last week.",
        "one colour alone points to that application's server or numbers; all of them together to "
        "the account, to Bandwidth, or to something they share.",
        NO_FAILURES,
    )
    return by_name(_per_minute(about, "application", FAILED, wide=True))


def _per_minute(about: About, label: str, counted: str, *, wide: bool) -> Json:
    return bars(
        about,
        Look("cpm", {**KNOWN_CAUSES, "last week": LAST_WEEK_COLOUR}, wide=wide),
        Target(f"{per_minute(label, counted)} > 0", f"{{{{{label}}}}}"),
        Target(per_minute("", counted, LAST_WEEK), "last week"),
        dashed="B",
    )


def _ratio_by_direction(about: About, part: str, whole: str) -> Json:
    def ratio(offset: str) -> str:
        counted = total("direction", rate(part, offset))
        return share(counted, total("direction", rate(whole, offset)))

    return lines(
        about,
        Look("percentunit", WAYS, least=0),
        directed(ratio("")),
        Target(ratio(LAST_WEEK), "{{direction}}, last week"),
        dashed="B",
        every="5m",
    )


def _by_direction() -> Json:
    about = About(
        "Inbound against outbound",
        "Failed calls as a share of all calls; dashed the same time last week.",
        "both rising together is the account, Bandwidth or a shared server; outbound alone is "
        "often about who is called.",
        NO_CALLS,
    )

    return _ratio_by_direction(about, FAILED, ENDED)


def _cut_off_over_time() -> Json:
    about = About(
        "Cut off mid-conversation, per minute by cause",
        "Bars: answered calls that ended by a failure. Dashed: all of them at the same time last "
        "week.",
        "the moment at which it began is when the flow broke: see your server's log then.",
        NO_FAILURES,
    )
    return _per_minute(about, "cause", CUT_OFF, wide=False)


def _short_over_time() -> Json:
    about = About(
        "Short calls over time",
        "Of the answered calls, those of at most 6 s; dashed the same time last week.",
        "a step up is a change in the flow or in who is called; some carriers surcharge a high "
        "share of short calls.",
        NO_CALLS,
    )

    return _ratio_by_direction(about, SHORT, ANSWERED)


def _rejections() -> Json:
    about = About(
        "SIP rejections per minute by code",
        "Outbound calls whose INVITE was rejected, by the SIP status. 480, 486, 600 and 603 are "
        "the callee's; 404 and 484 the number's; 408, 500, 503 and 504 the network's.",
        "603 or 403 growing may be a number labelled as spam; 5xx is the network: give calls to "
        "Bandwidth's support; 404 and 484 are numbers to check.",
        "no rejections",
    )
    expr = f"{per_minute('code', SCOPE.of(catalog.SIP_REJECTIONS))} > 0"
    return by_name(bars(about, Look("cpm", wide=True), Target(expr, "{{code}}")))


def _transfers() -> Json:
    about = About(
        "Second legs of transfers per minute by cause",
        "How the calls ended that a transfer placed to its target.",
        "the targets of transfers do not answer or cannot be reached: check the numbers and who "
        "should answer them.",
        "no transfers",
    )
    expr = f"{per_minute('cause', SCOPE.of(catalog.TRANSFER_LEGS))} > 0"
    return bars(about, Look("cpm", KNOWN_CAUSES, wide=True), Target(expr, "{{cause}}"))
