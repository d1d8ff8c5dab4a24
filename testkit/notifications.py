"""A webhook receiver on loopback that keeps what an Alertmanager sends."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from testkit.closing import Closing


@dataclass(frozen=True)
class Told:
    """One alert within a notification, as a receiver got it."""

    receiver: str
    path: str
    status: str  # firing, resolved
    labels: dict[str, str]
    annotations: dict[str, str]
    at: float  # Unix seconds of the receipt
    ended: float  # Unix seconds; before all others while it fires

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


@dataclass(frozen=True)
class Notification:
    """One message: the alerts of a group, and the labels ``of`` the group."""

    receiver: str
    status: str  # firing, or resolved if all of them are
    of: dict[str, str]
    alerts: list[Told]
    at: float  # Unix seconds of the receipt


class Notifications(Closing):
    """Listens until the context is left; answers 200 to everything."""

    def __init__(self) -> None:
        """Listen on a port of its own."""
        self.told: list[Told] = []
        self.messages: list[Notification] = []
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                keep(self.path, json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the test reads `told`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _keep(self, path: str, content: dict[str, Any]) -> None:
        alerts = _alerts(path, content)
        self.told.extend(alerts)
        self.messages.append(
            Notification(
                receiver=content["receiver"],
                status=content["status"],
                of=content["groupLabels"],
                alerts=alerts,
                at=time.time(),
            )
        )

    @property
    def url(self) -> str:
        """The URL to send to, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def of(self, name: str, status: str, **labels: str) -> list[Told]:
        """The notifications of an alert so far, oldest first."""
        return [
            told
            for told in list(self.told)
            if told.name == name and told.status == status and labels.items() <= told.labels.items()
        ]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _alerts(path: str, notification: dict[str, Any]) -> list[Told]:
    now = time.time()
    return [
        Told(
            receiver=notification["receiver"],
            path=path,
            status=alert["status"],
            labels=alert["labels"],
            annotations=alert["annotations"],
            at=now,
            ended=datetime.fromisoformat(alert["endsAt"]).timestamp(),
        )
        for alert in notification["alerts"]
    ]
