"""Counting calls: once from the exporter's series, everything else from the recordings."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from bandwidth_voice_exporter.alerts import series
from bandwidth_voice_exporter.alerts.metrics import ended, grown, select
from bandwidth_voice_exporter.alerts.rulefile import Recording
from bandwidth_voice_exporter.alerts.series import CountOf, by
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice import DOMAIN_OF_CAUSE

_SCRAPED = ("5m", "15m", "1h")
# Causes that only count together: with those of their fault domain.
_NOT_ALONE = "|".join(
    cause
    for cause, domain in DOMAIN_OF_CAUSE.items()
    if domain in {"none", "application", "bandwidth"} and cause != "node-capacity-exceeded"
)


_COUNTED: Mapping[CountOf, tuple[catalog.Metric, tuple[str, ...]]] = MappingProxyType(
    {
        series.DOMAIN: (catalog.CALLS, ()),
        series.ANSWERED: (catalog.CALLS, ('answered="true"',)),
        series.CAUSE: (catalog.CALLS, (f'cause!~"{_NOT_ALONE}"',)),
        series.OF_APPLICATION: (catalog.CALLS, ()),
        series.FAILED_OF_APPLICATION: (catalog.CALLS, ('fault_domain="application"',)),
        series.SHORT: (catalog.SHORT_CALLS, ()),
        series.TALK: (catalog.TALK, ()),
    }
)


def recordings(job: str, count: CountOf, *windows: str) -> Iterator[Recording]:
    """Yield a count in some windows; all calls of a direction are added up of its domains."""
    for window in windows:
        if window not in _SCRAPED:
            yield Recording(count.within(window), count.longer(window))
        elif count == series.CALLS:
            calls = f"sum {by('direction')} ({series.DOMAIN.within(window)})"
            yield Recording(count.within(window), calls)
        else:
            metric, matchers = _COUNTED[count]
            counted = _counted(count, metric, job, window, *matchers)
            yield _with_undocumented(counted, job, window) if count == series.DOMAIN else counted


def for_dashboards(job: str, window: str) -> Iterator[Recording]:
    """Yield the counts by application that no alert needs."""
    yield _counted(series.FINE, catalog.CALLS, job, window)
    answered = f'{series.FINE.within(window)}{{answered="true"}}'
    count = series.ANSWERED_OF_APPLICATION
    yield Recording(count.within(window), f"sum {by(*count.labels)} ({answered})")
    yield _counted(series.SHORT_OF_APPLICATION, catalog.SHORT_CALLS, job, window)
    yield _counted(series.TALK_OF_APPLICATION, catalog.TALK, job, window)


def _with_undocumented(counted: Recording, job: str, window: str) -> Recording:
    """Count no calls, too, of causes that are not documented: most exporters never see one."""
    well = select(catalog.CALLS, job, 'fault_domain="none"')
    none = f"0 * {grown(well, window, 'direction')}"
    labelled = f'label_replace({none}, "fault_domain", "unclassified", "", "")'
    return Recording(counted.record, f"{counted.expr}\nor\n{labelled}")


def _counted(
    count: CountOf, metric: catalog.Metric, job: str, window: str, *matchers: str
) -> Recording:
    if metric is catalog.CALLS and count not in series.WITH_RECONCILED:
        expression = ended(job, window, *count.labels, matchers=matchers)
    else:
        expression = grown(select(metric, job, *matchers), window, *count.labels)
    return Recording(count.within(window), expression)
