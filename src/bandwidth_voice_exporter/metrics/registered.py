"""prometheus_client's objects for metrics of the catalog."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bandwidth_voice_exporter.metrics.catalog import Metric


def counter(registry: CollectorRegistry, metric: Metric) -> Counter:
    """Return a counter of the catalog, registered."""
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def histogram(registry: CollectorRegistry, metric: Metric) -> Histogram:
    """Return a histogram of the catalog, registered."""
    return Histogram(
        metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
    )


def gauge(registry: CollectorRegistry, metric: Metric) -> Gauge:
    """Return a gauge of the catalog, registered."""
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)
