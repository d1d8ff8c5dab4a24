"""A real Alertmanager on a loopback port that it chose, with its storage in a test's directory."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bandwidth_voice_exporter import alerts
from testkit import programs
from testkit.client import Client
from testkit.closing import Closing
from testkit.process import Process

EXAMPLE = Path(alerts.__file__).with_name("alertmanager.example.yml")

_PROGRAM = "prometheus-alertmanager"

# Debian's build reads its templates from /usr/share, and from nowhere else. A package that
# is unpacked and not installed gets a view of the file system of its own, with them in that place.
_TEMPLATES = Path("/usr/share/prometheus/alertmanager/default.tmpl")
_VIEW = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_MOUNT = 'mount --bind "$0" /usr/share && exec "$@"'


class Alertmanager(Closing):
    """Ready once it is constructed; leaving the context kills it."""

    def __init__(self, directory: Path, config: Path = EXAMPLE, port: int = 0) -> None:
        """Keep storage and log in the directory; port 0 is any that is free."""
        command = [
            *_command(),
            f"--config.file={config}",
            f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        self.process = Process(command, directory)
        try:
            listening = r'msg="Listening on" address=(127\.0\.0\.1:\d+)'
            self.address = self.process.wait_for_log(listening)[1]
            self._client = Client(self.address)
            self.process.wait_until(self._is_ready, "/-/ready")
        except BaseException:
            self.process.kill()
            raise

    def post(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Have alerts with these labels fire."""
        body = json.dumps([{"labels": dict(labels)} for labels in alerts]).encode()
        answer = self._client.request(
            "POST", "/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        assert answer.status == 200, answer.text

    def alerts(self) -> Sequence[dict[str, Any]]:
        """Every alert that there is, with its `status.state` and `status.inhibitedBy`."""
        answer = self._client.request("GET", "/api/v2/alerts")
        assert answer.status == 200, answer.text
        alerts: list[dict[str, Any]] = answer.json
        return alerts

    def groups(self) -> Sequence[Sequence[dict[str, Any]]]:
        """The alerts that are told together, those that are muted included."""
        answer = self._client.request("GET", "/api/v2/alerts/groups")
        assert answer.status == 200, answer.text
        return [group["alerts"] for group in answer.json]

    def close(self) -> None:
        """Kill it if it still runs and close the connection."""
        self.process.kill()
        self._client.close()

    def _is_ready(self) -> bool:
        return self._client.request("GET", "/-/ready").status == 200


def _command() -> list[str]:
    program = programs.path(_PROGRAM)
    unpacked = Path(program).parents[1] / "share"
    if _TEMPLATES.exists() or not (unpacked / _TEMPLATES.relative_to("/usr/share")).exists():
        return [program]
    return [*_VIEW, _MOUNT, str(unpacked), program]
