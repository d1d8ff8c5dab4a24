"""Turn a file of alert rules into the PrometheusRule that the Prometheus Operator takes."""

import sys
from pathlib import Path

_HEAD = """\
# Generated from alerts/bandwidth-voice.rules.yml by `make rules`; change alerts/config.toml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: bandwidth-voice-exporter
  labels:
    app.kubernetes.io/name: bandwidth-voice-exporter
spec:
"""


def manifest(rules: str) -> str:
    """Return the manifest that has the text of a rules file, comments included, as its spec."""
    return _HEAD + "".join(
        f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True)
    )


def main() -> None:
    """Read the rules that the first argument names and write the manifest that the second does."""
    rules, target = map(Path, sys.argv[1:])
    target.write_text(manifest(rules.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
