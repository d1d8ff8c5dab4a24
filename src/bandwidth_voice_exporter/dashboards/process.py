"""Panels on the exporter as a process, and on what its scrapes cost."""

from bandwidth_voice_exporter.dashboards.colour import Json
from bandwidth_voice_exporter.dashboards.panel import About, Look, lines
from bandwidth_voice_exporter.dashboards.pieces import NOT_SCRAPED, by_name, each
from bandwidth_voice_exporter.dashboards.query import of_any, rate


def scrape() -> Json:
    """Return how long a scrape takes."""
    about = About(
        "Duration of a scrape",
        "How long Prometheus waited for the metrics.",
        "near the scrape timeout samples go missing: fewer applications or error ids, or a longer "
        "timeout.",
        NOT_SCRAPED,
    )
    expr = f"max by (instance) ({of_any('scrape_duration_seconds')})"
    return by_name(lines(about, Look("s"), each(expr)))


def samples() -> Json:
    """Return how much it brings."""
    about = About(
        "Samples of a scrape",
        "Series that the exporter shows.",
        "growing without end: new applications or causes come in, up to their caps.",
        NOT_SCRAPED,
    )
    expr = f"max by (instance) ({of_any('scrape_samples_scraped')})"
    return by_name(lines(about, Look("locale", decimals=0), each(expr)))


def processor() -> Json:
    """Return how busy the process is."""
    about = About(
        "Processor",
        "Share of one core.",
        "near 100 % the exporter falls behind: events wait for their answer. Give it a faster "
        "core, or add a replica.",
        NOT_SCRAPED,
    )
    expr = f"sum by (instance) ({rate(of_any('process_cpu_seconds_total'))})"
    return by_name(lines(about, Look("percentunit"), each(expr)))


def resident() -> Json:
    """Return how much memory it has."""
    about = About(
        "Memory",
        "Resident memory of the process.",
        "growing for days: report it, with the version and the number of series.",
        NOT_SCRAPED,
    )
    expr = f"max by (instance) ({of_any('process_resident_memory_bytes')})"
    return by_name(lines(about, Look("bytes"), each(expr)))
