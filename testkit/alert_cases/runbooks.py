"""The runbooks as text: their sections, queries and links."""

import re
from pathlib import Path

from bandwidth_voice_exporter.metrics.catalog import METRICS
from testkit.alert_cases.shipped import RUNBOOKS

SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation")

# Series that Prometheus and its client library add to the exporter's own.
_OF_EVERY_TARGET = ("up", "process_start_time_seconds", "process_resident_memory_bytes")
_LABELS_OF_EVERY_SERIES = {"job", "instance", "le"}

_QUERY = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SELECTOR = re.compile(
    r"\b([a-z_]+(?::[a-z0-9_]+){2}|(?:bandwidth_voice|process)_\w+|up)\b(?:\{([^}]*)\})?"
)
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left)\s*\(([^)]*)\)")


def files() -> list[Path]:
    """Return the runbooks."""
    return sorted(RUNBOOKS.glob("*.md"))


def sections(text: str) -> dict[str, str]:
    """Return what stands under each second-level heading, in order."""
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {name: body for name, _, body in (part.partition("\n") for part in parts)}


def queries(text: str) -> list[str]:
    """Return the PromQL of a runbook."""
    return _QUERY.findall(text)


def links(text: str) -> list[str]:
    """Return the addresses of the failures page in it."""
    return re.findall(r"http://EXPORTER:\d+/failures\S*?(?=`)", text)


def references(text: str) -> list[str]:
    """Return the files that it refers to."""
    return re.findall(r"\]\(([^)]+)\)", text)


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Return each metric of a query with the labels that are matched on it."""
    return [
        (name, set(_MATCHER.findall(matchers or ""))) for name, matchers in _SELECTOR.findall(query)
    ]


def grouped(query: str) -> set[str]:
    """Return the labels that a query aggregates or joins by."""
    return {
        label.strip()
        for labels in _GROUPING.findall(query)
        for label in labels.split(",")
        if label.strip()
    }


def labels_of(name: str) -> set[str] | None:
    """Return the labels that a scraped series can have; None if there is no such metric."""
    if name in _OF_EVERY_TARGET:
        return _LABELS_OF_EVERY_SERIES
    for metric in METRICS:
        if name in metric.samples:
            return {*metric.labels, *_LABELS_OF_EVERY_SERIES}
    return None
