"""The exporter's metrics, by the catalog: a renamed metric breaks the build."""

from bandwidth_voice_exporter.alerts.series import by
from bandwidth_voice_exporter.metrics import catalog


def select(metric: catalog.Metric, job: str, *matchers: str, sample: str = "") -> str:
    """Return a selector of a metric's series; ``sample`` is bucket, sum or count."""
    name = f"{metric.name}_{sample}" if sample else metric.name
    if name not in metric.samples:
        raise ValueError(f"{metric.name} has no sample {name}")
    return f"{name}{{{', '.join((of_job(job), *matchers))}}}"


def of_job(job: str) -> str:
    """Return the matcher of the jobs that the rules are for."""
    quoted = job.replace("\\", "\\\\").replace('"', '\\"')
    return f'job=~"{quoted}"'


def up_to(seconds: float) -> str:
    """Return the matcher of a bucket; Prometheus 3 writes its bound as 6.0, Prometheus 2 as 6."""
    return f'le=~"{seconds:g}(\\\\.0)?"'


def grown(selector: str, window: str, *labels: str, offset: str = "") -> str:
    """Return how much counters have grown in a window, by job and labels; ``offset`` ago."""
    ago = f" offset {offset}" if offset else ""
    return f"sum {by(*labels)} (increase({selector}[{window}]{ago}))"
