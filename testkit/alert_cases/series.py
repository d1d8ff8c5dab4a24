"""Selectors of the series that cases give to Prometheus."""

from bandwidth_voice_exporter.metrics.catalog import CALLS, Metric
from bandwidth_voice_exporter.voice.causes import fault_domain

JOB = "bandwidth-voice"
INSTANCE = "exporter:10060"
APPLICATION = "support"


def named(name: str, **labels: str) -> str:
    """Return a series of the job."""
    pairs = ",".join(f'{label}="{value}"' for label, value in {**labels, "job": JOB}.items())
    return f"{name}{{{pairs}}}"


def scraped(metric: Metric, sample: str = "", **labels: str) -> str:
    """Return a series of the exporter, whose labels are those of the catalog."""
    name = f"{metric.name}_{sample}" if sample else metric.name
    assert name in metric.samples, name
    assert set(labels) - {"le"} == set(metric.labels), (name, labels)
    return named(name, instance=INSTANCE, **labels)


def calls(
    direction: str, cause: str, *, answered: bool = True, application: str = APPLICATION
) -> str:
    """Return the series of ended calls."""
    return scraped(
        CALLS,
        application=application,
        direction=direction,
        cause=cause,
        fault_domain=fault_domain(cause),
        answered=str(answered).lower(),
    )
