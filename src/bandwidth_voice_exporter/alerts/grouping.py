"""Labels that tell apart what shares a job, such as environments: in every rule and every text."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bandwidth_voice_exporter.metrics import catalog

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Labels that have a meaning already, by what they are of.
_TAKEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "every target": frozenset({"job", "instance"}),
        "every alert": frozenset(
            {"alertname", "alertstate", "severity", "fault_domain", "condition"}
        ),
        "the exporter's metrics": frozenset(
            {"le", *(label for metric in catalog.METRICS for label in metric.labels)}
        ),
    }
)
_CLAUSE = re.compile(r"\b(by|on) \(job\b")
# A query of a text: the format, then its arguments, in the order of the matchers.
_LOOKED_UP = re.compile(r"\(printf (\"(?:[^\"\\]|\\.)*\") ([^|]*?) \| query\)")
_VARIABLE = "var-job={{ $labels.job | urlquery }}"


def check(labels: Sequence[str]) -> None:
    """Raise ValueError for what can be no label of a target, means something else, or repeats."""
    for place, label in enumerate(labels):
        told = f"group_labels: {label!r}"
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{told} is no label, which has letters, digits and _")
        if label.startswith("__"):
            raise ValueError(f"{told} is Prometheus's own: no label that begins with __ is kept")
        for owner, taken in _TAKEN.items():
            if label in taken:
                raise ValueError(f"{told} is a label of {owner}: write one that your targets add")
        if label in labels[:place]:
            raise ValueError(f"{told} is there twice: write it once")


def clauses(expression: str, labels: Sequence[str]) -> str:
    """Have an expression keep, and match on, the labels wherever it does so with the job."""
    more = "".join(f", {label}" for label in labels)
    return _CLAUSE.sub(lambda match: match[0] + more, expression)


def texts(template: str, labels: Sequence[str]) -> str:
    """Have what a text looks up, and the dashboards it links to, be of the labels too."""
    matchers = "".join(f",{label}=%q" for label in labels)
    values = "".join(f" $labels.{label}" for label in labels)

    def looked_up(match: re.Match[str]) -> str:
        query = clauses(match[1], labels).replace("job=%q", f"job=%q{matchers}")
        given = re.sub(r"\$labels\.job\b", lambda job: job[0] + values, match[2])
        return f"(printf {query} {given} | query)"

    linked = "".join(f"&var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in labels)
    return _LOOKED_UP.sub(looked_up, template).replace(_VARIABLE, _VARIABLE + linked)
