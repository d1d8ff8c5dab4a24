"""The common parts of panels."""

from collections.abc import Mapping

from bandwidth_voice_exporter.dashboards.colour import QUANTILES, WAYS, Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, Target, bars, lines
from bandwidth_voice_exporter.dashboards.query import Scope, per_minute, quantile
from bandwidth_voice_exporter.metrics import catalog

NO_CALLS = "no calls"
NO_FAILURES = "no failures"
NO_RULES = "rules not loaded"
NONE = "none"
NOT_SCRAPED = "not scraped"

RATIO = Look("percentunit", WAYS, decimals=2, least=0, most=1)


def directed(expr: str) -> Target:
    """Return a query with a series for each direction."""
    return Target(expr, "{{direction}}")


def each(expr: str) -> Target:
    """Return a query with a series for each exporter."""
    return Target(expr, "{{instance}}")


def by_name(panel: Json) -> Json:
    """Colour series that have names of the user's, or any number of them, by their names."""
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic-by-name"}
    return panel


def counts(
    about: About,
    metric: catalog.Metric,
    by: str,
    colours: Mapping[str, str],
    legend: str = "",
) -> Json:
    """Return bars of what should not happen: empty as long as it does not."""
    expr = f"{per_minute(by, Scope().of(metric))} > 0"
    name = legend or f"{{{{{by}}}}}"
    return by_name(bars(about, Look("cpm", colours), Target(expr, name)))


def quantiles(about: About, metric: catalog.Metric) -> Json:
    """Return lines of how long all but a share of something took."""
    buckets = Scope().buckets(metric)
    return lines(
        about,
        Look("s", QUANTILES),
        *(
            Target(quantile(float(f"0.{name[1:]}"), "", buckets), name)
            for name in ("p50", "p95", "p99")
        ),
        every="2m",
    )
