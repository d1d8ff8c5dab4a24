"""The texts of alerts: templates that look the numbers up when the alert fires."""

from collections.abc import Mapping
from urllib.parse import quote

from bandwidth_voice_exporter.alerts.config import Links
from bandwidth_voice_exporter.alerts.rulefile import LinkedPages

OUTCOMES = "bandwidth-voice-outcomes"
FAILURES = "bandwidth-voice-failures"
EXPORTER = "bandwidth-voice-exporter"

# The filters of the page of failed calls.
_FILTERS = ("application", "direction", "fault_domain", "cause")

# How a value is shown; a template cannot calculate, so that its queries do.
NUMBER = 'printf "%.0f"'
SECONDS = "humanizeDuration"
_PERCENT = "round(100 * {0}, 0.1) < 10 or round(100 * {0})"
_ONE_IN = "round(1 / ({0} < 0.4 > 0.001))"  # of calls: what people picture
_VALUE = "vector(%g)"
VALUE_SHARE = (
    f'{{{{ with (printf "{_PERCENT.format(_VALUE)}" $value $value | query) }}}}'
    '{{ . | first | value | printf "%.3g" }}%{{ end }}'
    f'{{{{ with (printf "{_ONE_IN.format(_VALUE)}" $value | query) }}}}'
    ' (about 1 in {{ . | first | value | printf "%.0f" }}){{ end }}'
)
VALUE_NUMBER = '{{ $value | printf "%.0f" }}'
VALUE_SECONDS = (
    f'{{{{ with (printf "round({_VALUE})" $value | query) }}}}'
    "{{ . | first | value | humanizeDuration }}{{ end }}"
)


def dashboard(links: Links, uid: str, *labels: str, **fixed: str) -> LinkedPages:
    """Return what shows an alert, with variables set from its labels, and some set for good."""
    chosen = {label: f"{{{{ $labels.{label} | urlquery }}}}" for label in labels}
    chosen |= {name: quote(value) for name, value in fixed.items()}
    variables = {f"var-{name}": value for name, value in chosen.items()}
    filters = {name: value for name, value in chosen.items() if name in _FILTERS}
    return LinkedPages(
        dashboard=_address(links.dashboards, uid, variables),
        failures="" if uid == EXPORTER else _address(links.exporter, "failures", filters),
    )


def _address(root: str, name: str, parameters: Mapping[str, str]) -> str:
    if not root:
        return ""
    query = "&".join(f"{parameter}={value}" for parameter, value in parameters.items())
    return "?".join(filter(None, (f"{root}/{name}", query)))


def looked_up(query: str, labels: tuple[str, ...], shown: str, fixed: str = "") -> str:
    """Return a template of the first result of a query; ``{}`` in it stands for the labels.

    ``shown`` is what the value is piped through; without a result it says ``unknown``.
    """
    found = _query(f"round({query})" if shown == SECONDS else query, labels, fixed)
    first = f"{{{{ . | first | value | {shown} }}}}"
    return f"{{{{ with {found} }}}}{first}{{{{ else }}}}unknown{{{{ end }}}}"


def share(query: str, labels: tuple[str, ...], fixed: str = "") -> str:
    """Return a template of a query's first result, a share, in percent and two digits."""
    found = _query(_PERCENT.format(query), labels, fixed)
    first = '{{ . | first | value | printf "%.3g" }}%'
    return f"{{{{ with {found} }}}}{first}{{{{ else }}}}unknown{{{{ end }}}}"


def listed(query: str, labels: tuple[str, ...], label: str, fixed: str = "") -> str:
    """Return a template that names a label of each result of a query, with its value."""
    found = _query(query, labels, fixed)
    name, value = f"{{{{ $s.Labels.{label} }}}}", "{{ $s.Value | " + NUMBER + " }}"
    item = f"{{{{ if $i }}}}, {{{{ end }}}}{name} ({value})"
    return f"{{{{ range $i, $s := {found} }}}}{item}{{{{ else }}}}none{{{{ end }}}}"


def _query(query: str, labels: tuple[str, ...], fixed: str) -> str:
    matchers = ",".join((*(f"{label}=%q" for label in labels), *((fixed,) if fixed else ())))
    values = " ".join(f"$labels.{label}" for label in labels)
    text = query.replace("{}", "{" + matchers + "}").replace('"', '\\"')
    times = query.count("{}")
    return f'(printf "{text}" {" ".join([values] * times)} | query)'
