"""The rules as what the Prometheus Operator takes."""

_HEAD = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: bandwidth-voice-exporter
  labels:
    app.kubernetes.io/name: bandwidth-voice-exporter
spec:
"""


def manifest(rules: str) -> str:
    """Return the manifest that has the text of a rule file, comments included, as its spec."""
    return _HEAD + "".join(
        f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True)
    )
