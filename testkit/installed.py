"""An installed exporter, tried as a new user does: a call counted, and all that is handed out.

    python testkit/installed.py /path/to/bandwidth-voice-exporter

The command line is the program, wherever it is installed; it is run in a directory of its own.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

_LISTEN = ("--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0")
_EVENT = {"eventType": "disconnect", "callId": "c-1", "direction": "inbound", "cause": "busy"}
_COUNTED = re.compile(r'^bandwidth_voice_calls_total\{.*cause="busy".*\} 1\.0$', re.MULTILINE)
_SECONDS = 30


def tried(program: Sequence[str], directory: Path) -> None:
    """Try the program, run in a directory. Raises AssertionError where it does not do as told."""
    for command, what in {
        ("rules", "--format=operator"): "kind: PrometheusRule",
        ("dashboards",): "bandwidth-voice-outcomes.json",
    }.items():
        said = subprocess.run(
            [*program, *command], cwd=directory, capture_output=True, text=True, check=True
        ).stdout
        assert what in said, command
    with subprocess.Popen(
        [*program, *_LISTEN, "--storage.path=data", "--log.format=json"],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            _counts(running)
        except BaseException:
            running.kill()
            raise
        running.send_signal(signal.SIGTERM)
        assert running.wait(_SECONDS) == 0


def _counts(running: subprocess.Popen[str]) -> None:
    assert running.stderr
    addresses: dict[str, str] = {}
    while len(addresses) < 2:
        line = running.stderr.readline()
        assert line, "it ended"
        said = json.loads(line)
        if found := re.fullmatch(r"(ops|webhook) listener ready", said["msg"]):
            addresses[found[1]] = said["address"]
    webhook = urllib.request.Request(  # loopback
        f"http://{addresses['webhook']}/webhooks/voice",
        json.dumps(_EVENT).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(webhook, timeout=_SECONDS) as answer:  # noqa: S310  # loopback
        assert answer.status == 204
    assert _COUNTED.search(_got(f"http://{addresses['ops']}/metrics"))
    assert "<h2>Diagnosis</h2>" in _got(
        f"http://{addresses['ops']}/runbooks/BandwidthVoiceCallsSilent"
    )


def _got(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  # loopback
        text: str = answer.read().decode()
        return text


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        tried(sys.argv[1:], Path(name))
    print("counted a call, handed out rules and dashboards, showed a runbook, and stopped")  # noqa: T201  # a script
