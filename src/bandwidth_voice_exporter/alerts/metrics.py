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


def ended(job: str, window: str, *labels: str, matchers: tuple[str, ...] = ()) -> str:
    """Return the calls that webhooks reported in a window, by job and labels.

    Calls found in Bandwidth's list are counted when they are found, and ended long before.
    """
    told = grown(select(catalog.CALLS, job, *matchers), window, *labels)
    # Unlike an increase, a delta reaches to the window's edges where a counter begins in it, too:
    # as the increase of the older counter does that it is taken from.
    found = f"clamp_min(delta({select(catalog.RECONCILED_CALLS, job, *matchers)}[{window}]), 0)"
    listed = f'label_replace(- sum {by(*labels)} ({found}), "reconciled", "true", "", "")'
    return f"clamp_min(\n  sum {by(*labels)} (\n    {told}\n    or\n    {listed}\n  ),\n  0\n)"
