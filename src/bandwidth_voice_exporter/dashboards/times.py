"""How long calls rang, waited and lasted: of all applications, for histograms have none."""

from bandwidth_voice_exporter.dashboards.colour import DOMAINS, QUANTILES, WAYS, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, heatmap, lines
from bandwidth_voice_exporter.dashboards.pieces import NO_CALLS
from bandwidth_voice_exporter.dashboards.query import LAST_WEEK, Scope, increase, quantile, total
from bandwidth_voice_exporter.metrics import catalog

DIRECTED = Scope(("direction",))
BY_DOMAIN = Scope(("direction", "fault_domain"))


def duration() -> Json:
    """Return how long answered calls were."""
    about = About(
        "Call duration",
        "From answer to end: half of the calls are shorter than p50, all but one in 20 than p95. "
        "Each point is a call; a click on it leads to the call.",
        "p50 falling towards seconds means that calls are cut off or useless to the callers: "
        "listen to one. p95 rising for hours may be calls that nobody hangs up.",
        NO_CALLS,
    )
    buckets = DIRECTED.buckets(catalog.DURATION)
    return lines(
        about,
        Look("s", QUANTILES, wide=True),
        Target(quantile(0.5, "", buckets), "p50"),
        Target(quantile(0.95, "", buckets), "p95", exemplar=True),
        every="5m",
    )


def durations() -> Json:
    """Return how many calls were how long."""
    about = About(
        "How long calls last",
        "The darker, the more calls ended after that long.",
        "a new band near the bottom is calls cut off at one moment of the flow: the time on the "
        "left says at which step of it.",
        NO_CALLS,
    )
    expr = total("le", increase(DIRECTED.buckets(catalog.DURATION), "$__rate_interval"))
    return heatmap(about, Look("s"), Target(expr, "{{le}}"), every="5m")


def setup() -> Json:
    """Return how long it took until a call was answered."""
    about = About(
        "Setup time, p95",
        "From start to answer of answered calls: all but one in 20 are faster. Dashed the same "
        "time last week. Each point is a call; a click on it leads to the call.",
        "inbound, your server answers slowly; outbound, people or networks take longer to answer.",
        NO_CALLS,
    )
    buckets = DIRECTED.buckets(catalog.SETUP)
    return lines(
        about,
        Look("s", WAYS),
        Target(quantile(0.95, "direction", buckets), "{{direction}}", exemplar=True),
        Target(quantile(0.95, "direction", buckets, LAST_WEEK), "{{direction}}, last week"),
        dashed="B",
        every="5m",
    )


def unanswered() -> Json:
    """Return how long it took until nobody had answered."""
    about = About(
        "Time until given up, p50",
        "From start to end of calls that were never answered: half of them are shorter. Dashed "
        "the same time last week.",
        "user near the call timeout is people who do not answer; everything near 0 is calls "
        "refused at once: see the SIP codes and the account's limits.",
        "no unanswered calls",
    )
    buckets = BY_DOMAIN.buckets(catalog.UNANSWERED)
    return lines(
        about,
        Look("s", DOMAINS),
        Target(quantile(0.5, "fault_domain", buckets), "{{fault_domain}}"),
        Target(quantile(0.5, "fault_domain", buckets, LAST_WEEK), "{{fault_domain}}, last week"),
        dashed="B",
        every="5m",
    )


def queue() -> Json:
    """Return how long calls waited to be placed."""
    about = About(
        "Time in the queue, p95",
        "From enqueued to started, of calls that Bandwidth queued: all but one in 20 waited less. "
        "Dashed the same time last week.",
        "more calls are created than the account may start: call slower or ask for a higher rate. "
        "The queue gives up after 300 s.",
        "no queued calls",
    )
    buckets = DIRECTED.buckets(catalog.QUEUE)
    return lines(
        about,
        Look("s", WAYS),
        Target(quantile(0.95, "direction", buckets), "{{direction}}"),
        Target(quantile(0.95, "direction", buckets, LAST_WEEK), "{{direction}}, last week"),
        dashed="B",
        every="5m",
    )
