"""The dashboard of the exporter, which asks whether the other two can be trusted."""

from bandwidth_voice_exporter.dashboards import handlers, ledger, process, reconcile
from bandwidth_voice_exporter.dashboards.board import EXPORTER, Row, board
from bandwidth_voice_exporter.dashboards.colour import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, bars, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import (
    NO_CALLS,
    NONE,
    NOT_SCRAPED,
    by_name,
    counts,
    each,
    quantiles,
)
from bandwidth_voice_exporter.dashboards.query import (
    HOUR,
    LAST_WEEK,
    Scope,
    increase,
    of_any,
    per_minute,
    share,
)
from bandwidth_voice_exporter.dashboards.table import Column, table
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope()
ENDED = SCOPE.of(catalog.EVENTS, 'event_type="disconnect"', 'result="counted"')
LAST_EVENT = SCOPE.of(catalog.LAST_EVENT)

_STOCK = (ledger.rows, ledger.size, ledger.pruned, ledger.pruned_before)
_COST = (process.scrape, process.samples, process.processor, process.resident)
_HANDLERS = (handlers.answers, handlers.seconds, handlers.in_flight, handlers.failures)
_GOOD = {"1": ("ok", "green"), "0": ("FAILED", "red")}


def dashboard() -> Json:
    """Return the dashboard."""
    rows: tuple[Row, ...] = (
        (
            4,
            (
                (3, _up()),
                (4, _version()),
                (6, _last()),
                (4, ledger.durable()),
                (3, ledger.memory()),
                (4, _files()),
            ),
        ),
        (9, ((8, _expected()), (8, _requests()), (8, _rejected()))),
        (9, ((8, _events()), (8, _delay()), (8, _applications()))),
        (9, ((8, ledger.commits()), (8, ledger.errors()), (8, ledger.not_recorded()))),
        (9, tuple((6, panel()) for panel in _STOCK)),
        (9, ((8, _overflow()), (8, _field_errors()), (8, _handshakes()))),
        (4, ((24, handlers.up()),)),
        (9, tuple((6, panel()) for panel in _HANDLERS)),
        (
            9,
            (
                (4, reconcile.last()),
                (8, reconcile.verdicts()),
                (6, reconcile.coverage()),
                (6, reconcile.failures()),
            ),
        ),
        (9, tuple((6, panel()) for panel in _COST)),
    )
    return board(EXPORTER, rows, ())


def _up() -> Json:
    about = About(
        "Up",
        "Whether Prometheus reached the exporter at its last scrape.",
        "calls go on being counted if only Prometheus does not reach it; if the exporter is down, "
        "Bandwidth's events are lost. Start it, then look at its log.",
        NOT_SCRAPED,
    )
    words = {"1": ("up", "green"), "0": ("DOWN", "red")}
    return stat(about, Look("short", words=words), each(f"min by (instance) ({of_any('up')})"))


def _version() -> Json:
    about = About(
        "Version",
        "Running versions, and how many exporters have each.",
        "two versions for longer than a deployment takes: one of them was not restarted.",
        NOT_SCRAPED,
    )
    expr = f"count by (version, revision) ({SCOPE.of(catalog.BUILD_INFO)})"
    return stat(about, Look("short", decimals=0), Target(expr, "{{version}} ({{revision}})"))


def _last() -> Json:
    about = About(
        "Last event",
        "Time since the last disconnect webhook, and the usual time between two at this hour: that "
        "of the same hour last week.",
        "many times the usual gap means that calls or webhooks are missing. Place a call; if it "
        "does not arrive, check the address and credentials at Bandwidth and the rejections here.",
        NO_CALLS,
    )
    usual = share("3600", f"sum({increase(ENDED, HOUR, LAST_WEEK)})")
    return stat(
        about,
        Look("s", decimals=1),
        Target(f"time() - max({LAST_EVENT} > 0)", "ago"),
        Target(usual, "usual gap"),
    )


def _files() -> Json:
    about = About(
        "Configuration files",
        "Whether the credentials and the TLS files could be used when they were last read.",
        "the old ones are in use still; the log says what is wrong with the new ones.",
        NOT_SCRAPED,
    )
    return stat(
        about,
        Look("short", words=_GOOD),
        Target(f"min({SCOPE.of(catalog.CREDENTIALS_LOADED)})", "credentials"),
        Target(f"min by (listener) ({SCOPE.of(catalog.WEB_CONFIG_LOADED)})", "{{listener}} TLS"),
    )


def _expected() -> Json:
    about = About(
        "Calls in the hour before",
        "Disconnect events counted in the hour before; dashed the same hour last week, which is "
        "what to expect.",
        "a solid line far below the dashed one: webhooks or calls are missing. See the requests "
        "and rejections beside it.",
        NO_CALLS,
    )
    return lines(
        about,
        Look("locale", {"calls": GREEN}, decimals=0),
        Target(f"sum({increase(ENDED, HOUR)})", "calls"),
        Target(f"sum({increase(ENDED, HOUR, LAST_WEEK)})", "calls, last week"),
        dashed="B",
        every="5m",
    )


def _requests() -> Json:
    about = About(
        "Requests per minute by code",
        "Requests on the webhook listener by the answer they got; 204 is an event taken.",
        "401 beside as many 204: Bandwidth asks first; without: the credentials at Bandwidth and "
        "here differ. 400: a client sends requests that are no events; 404 and 405: scanners, or a "
        "wrong address at Bandwidth. Bandwidth does not send a refused event again.",
        "no requests",
    )
    expr = f"{per_minute('code', SCOPE.of(catalog.WEBHOOK_REQUESTS))} > 0"
    colours = {"200": BLUE, "204": GREEN, "400": ORANGE, "401": GREY, "404": PURPLE}
    return by_name(bars(about, Look("cpm", colours), Target(expr, "{{code}}")))


def _rejected() -> Json:
    return counts(
        About(
            "Rejections per minute by reason",
            "Requests that no event was taken from.",
            "unauthorized while calls are missing: the password was changed on one side only. "
            "unauthenticated beside as many events: Bandwidth asks first; without events: nobody "
            "entered the credentials there. The log names clients.",
            NONE,
        ),
        catalog.REJECTED,
        "reason",
        {
            "unauthorized": RED,
            "malformed": ORANGE,
            "path": PURPLE,
            "method": BLUE,
            "unauthenticated": GREY,
        },
    )


def _events() -> Json:
    about = About(
        "Events per minute by result",
        "counted: a call's end, once; duplicate: sent again and not counted again; ignored: not "
        "about a call's end.",
        "duplicates growing: Bandwidth does not get the answers in time, see the latency of "
        "commits. ignored: another callback of the application points here, where it should not.",
        NO_CALLS,
    )
    expr = per_minute("result", SCOPE.of(catalog.EVENTS))
    colours = {"counted": GREEN, "duplicate": ORANGE, "ignored": PURPLE}
    return lines(about, Look("cpm", colours), Target(expr, "{{result}}"))


def _delay() -> Json:
    about = About(
        "Delivery delay",
        "From the time in the event to its receipt.",
        "all of it at once: the clock here is wrong, or Bandwidth is late; see its status page. "
        "Figures of the last minutes are then not complete yet.",
        NO_CALLS,
    )
    return quantiles(about, catalog.DELAY)


def _applications() -> Json:
    about = About(
        "Last event by application",
        "Time since the last disconnect webhook of each application.",
        "one application far behind its usual: its CallStatusCallbackUrl or the disconnectUrl of "
        "its calls is missing or wrong.",
        NO_CALLS,
    )
    return table(
        about,
        (
            Column("application", "Application"),
            Column("Value", "Last event", "s", 120),
        ),
        Target(f"time() - max by (application) ({LAST_EVENT} > 0)"),
        sort_by="Last event",
    )


def _overflow() -> Json:
    return counts(
        About(
            "Label overflow per minute",
            "Values counted under `other` because their label had reached its cap.",
            "application or cause: raise `--labels.max-applications` or `--labels.max-new-causes`, "
            "or find who sends made-up events. error_id: usual in a storm of failures; the "
            "failures page has all of them.",
            NONE,
        ),
        catalog.LABEL_OVERFLOW,
        "label",
        {},
    )


def _field_errors() -> Json:
    return counts(
        About(
            "Unusable fields per minute",
            "Fields that could not be used, in events that were counted all the same.",
            "a time that is missing or malformed keeps the call out of its histogram. If it is "
            "new, Bandwidth changed its events: report it.",
            NONE,
        ),
        catalog.FIELD_ERRORS,
        "field, reason",
        {},
        "{{field}}: {{reason}}",
    )


def _handshakes() -> Json:
    return counts(
        About(
            "TLS handshakes given up, per minute",
            "On either listener; the log has a reason a minute.",
            "on webhook while calls are missing: Bandwidth does not trust the certificate; has it "
            "expired?",
            NONE,
        ),
        catalog.TLS_HANDSHAKE_ERRORS,
        "listener",
        {},
    )
