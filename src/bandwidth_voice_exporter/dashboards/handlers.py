"""Panels on the handlers that deliveries are passed on to."""

from bandwidth_voice_exporter.dashboards.colour import BLUE, GREEN, GREY, ORANGE, PURPLE, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, lines, stat
from bandwidth_voice_exporter.dashboards.pieces import NONE, by_name, counts
from bandwidth_voice_exporter.dashboards.query import Scope, per_minute, quantile
from bandwidth_voice_exporter.metrics import catalog

SCOPE = Scope()
NOT_FORWARDED = "nothing is passed on"


def up() -> Json:
    """Return whether each answered when it was last tried."""
    about = About(
        "Handlers",
        "Whether the handler behind each path answered, with whatever status, when it was last "
        "tried.",
        "start or mend the handler, or set its new URL (`--forward.url`); its events are counted "
        "here all the same.",
        NOT_FORWARDED,
    )
    words = {"1": ("up", "green"), "0": ("DOWN", "red")}
    expr = f"min by (route) ({SCOPE.of(catalog.FORWARD_UP)})"
    return stat(about, Look("short", words=words), Target(expr, "{{route}}"))


def answers() -> Json:
    """Return the panel of their answers."""
    about = About(
        "Handlers' answers per minute by code",
        "Requests that were passed on and answered, by the handler's status.",
        "5xx are the handler's own, and passed back as they are: Bandwidth ends a call that wanted "
        "BXML with callback-error.",
        NOT_FORWARDED,
    )
    expr = f"{per_minute('code', SCOPE.of(catalog.FORWARD_REQUESTS))} > 0"
    colours = {"200": BLUE, "204": GREEN, "400": ORANGE, "401": GREY, "404": PURPLE}
    return by_name(lines(about, Look("cpm", colours), Target(expr, "{{code}}")))


def seconds() -> Json:
    """Return how long they take."""
    about = About(
        "Seconds to a handler's answer, p95",
        "From the record of an event to the handler's whole answer, tries in vain included.",
        "callers hear silence for as long where BXML is waited for; beyond 15 s their calls end. "
        "Look at what the handler itself waits for.",
        NOT_FORWARDED,
    )
    expr = quantile(0.95, "route", SCOPE.buckets(catalog.FORWARD_SECONDS))
    return by_name(lines(about, Look("s"), Target(expr, "{{route}}"), every="2m"))


def in_flight() -> Json:
    """Return how many requests wait for them."""
    about = About(
        "Requests that wait for a handler",
        "At the moment of a scrape.",
        "hundreds: the handler takes fewer at once than come. Its share is half of "
        "`--webhook.max-connections`, or less with more routes.",
        NOT_FORWARDED,
    )
    expr = f"sum by (route) ({SCOPE.of(catalog.FORWARD_IN_FLIGHT)})"
    return by_name(lines(about, Look("locale", decimals=0), Target(expr, "{{route}}")))


def failures() -> Json:
    """Return what got no answer."""
    return counts(
        About(
            "Unanswered by handlers, per minute",
            "Given up when their time was over, or at once where trying again cannot help.",
            "the runbook of BandwidthVoiceForwardFailing has what each reason means.",
            NONE,
        ),
        catalog.FORWARD_FAILURES,
        "route, reason",
        {},
        "{{route}}: {{reason}}",
    )
