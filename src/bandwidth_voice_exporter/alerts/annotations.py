"""What alerts say: templates that look the numbers up when the alert fires."""

from urllib.parse import quote

from alerts.generator.config import Links

OUTCOMES = "bandwidth-voice-outcomes"
FAILURES = "bandwidth-voice-failures"
EXPORTER = "bandwidth-voice-exporter"

# How a value is shown.
SHARE = "humanizePercentage"
NUMBER = 'printf "%.0f"'
SECONDS = "humanizeDuration"
VALUE_SHARE = "{{ $value | humanizePercentage }}"
VALUE_NUMBER = '{{ $value | printf "%.0f" }}'
VALUE_SECONDS = "{{ $value | humanizeDuration }}"


def dashboard(links: Links, uid: str, *labels: str, **fixed: str) -> str:
    """Return a dashboard's address with variables set from labels, and some set for good."""
    variables = [f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in labels]
    variables += [f"var-{name}={quote(value)}" for name, value in fixed.items()]
    return "?".join(filter(None, (f"{links.dashboards}/{uid}", "&".join(variables))))


def looked_up(query: str, labels: tuple[str, ...], shown: str, fixed: str = "") -> str:
    """Return a template of the first result of a query; ``{}`` in it stands for the labels.

    ``shown`` is what the value is piped through; without a result it says ``unknown``.
    """
    found = _query(query, labels, fixed)
    first = f"{{{{ . | first | value | {shown} }}}}"
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
