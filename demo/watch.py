"""What fires, told as it happens."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec


class Change(msgspec.Struct, frozen=True):
    """An alert that begins to fire, or ends; ``at`` in unix seconds."""

    at: float
    fires: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        labels = self.labels
        what = f"{labels['severity']}, fault domain {labels['fault_domain']}"
        where = "".join(
            f", {name} {labels[name]}"
            for name in ("direction", "application", "cause")
            if name in labels
        )
        head = (
            f"{clock}  {'FIRES ' if self.fires else 'ends  '} {labels['alertname']} ({what}{where})"
        )
        return f"{head}\n{'':18}{self.annotations['description']}" if self.fires else head


def changes(alerts: Callable[[], list[dict[str, Any]]]) -> Iterator[Change | None]:
    """Yield each change, and None each second; ``alerts`` are those of Prometheus's API."""
    before: dict[str, dict[str, Any]] = {}
    while True:
        now = time.time()
        firing = {str(one["labels"]): one for one in alerts() if one["state"] == "firing"}
        for key in firing.keys() - before.keys():
            yield _change(now, firing[key], fires=True)
        for key in before.keys() - firing.keys():
            yield _change(now, before[key], fires=False)
        before = firing
        yield None
        time.sleep(1)


def _change(at: float, alert: Mapping[str, Any], *, fires: bool) -> Change:
    return Change(at, fires, alert["labels"], alert["annotations"])
