"""Counting calls: once from the exporter's series, everything else from what was recorded."""

from collections.abc import Iterator

from alerts.generator import series
from alerts.generator.metrics import grown, select
from alerts.generator.rulefile import Recording
from alerts.generator.series import WINDOWS, Count, by
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import Metric
from bandwidth_voice_exporter.voice.causes import DOMAIN_OF_CAUSE

_SCRAPED = ("5m", "1h")
_IN_LONGER_WINDOWS = (
    *(series.CALLS, series.ANSWERED, series.SHORT, series.DOMAIN, series.CAUSE),
    *(series.OF_APPLICATION, series.FAILED_OF_APPLICATION),
)
# Causes that only count together: with those of their fault domain.
_NOT_ALONE = "|".join(
    cause
    for cause, domain in DOMAIN_OF_CAUSE.items()
    if domain in {"none", "application", "bandwidth"} and cause != "node-capacity-exceeded"
)


def recordings(job: str) -> Iterator[Recording]:
    """Yield the counts of 5 minutes and an hour, then those of the other windows."""
    for window in _SCRAPED:
        for count, metric, matchers in (
            (series.DOMAIN, catalog.CALLS, ()),
            (series.ANSWERED, catalog.CALLS, ('answered="true"',)),
            (series.CAUSE, catalog.CALLS, (f'cause!~"{_NOT_ALONE}"',)),
            (series.OF_APPLICATION, catalog.CALLS, ()),
            (series.FAILED_OF_APPLICATION, catalog.CALLS, ('fault_domain="application"',)),
            (series.SHORT, catalog.SHORT_CALLS, ()),
            (series.TALK, catalog.TALK, ()),
        ):
            yield _counted(count, metric, job, window, *matchers)
        calls = f"sum {by('direction')} ({series.DOMAIN.within(window)})"
        yield Recording(series.CALLS.within(window), calls)
    yield _counted(series.CALLS, catalog.CALLS, job, "3m")
    for window in WINDOWS:
        if window not in _SCRAPED:
            for count in _IN_LONGER_WINDOWS:
                yield Recording(count.within(window), count.longer(window))


def for_dashboards(job: str) -> Iterator[Recording]:
    """Yield the counts by application that no alert needs."""
    for window in _SCRAPED:
        yield _counted(series.FINE, catalog.CALLS, job, window)
        answered = f'{series.FINE.within(window)}{{answered="true"}}'
        count = series.ANSWERED_OF_APPLICATION
        yield Recording(count.within(window), f"sum {by(*count.labels)} ({answered})")
        yield _counted(series.SHORT_OF_APPLICATION, catalog.SHORT_CALLS, job, window)
        yield _counted(series.TALK_OF_APPLICATION, catalog.TALK, job, window)


def _counted(count: Count, metric: Metric, job: str, window: str, *matchers: str) -> Recording:
    scraped = select(metric, job, *matchers)
    return Recording(count.within(window), grown(scraped, window, *count.labels))
