"""A persistent HTTP connection that sends every request exactly once."""

import http.client
import json
import select
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Talks to one address (`127.0.0.1:43211`); connects when needed, and again when hung up on."""

    def __init__(self, address: str, timeout: float = 20) -> None:
        """Connect to nothing yet; `timeout` s is for each send and receive."""
        self._connection = http.client.HTTPConnection(address, timeout=timeout)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, return its answer; OSError or HTTPException if there is none."""
        if self._hung_up():
            self.close()
        try:
            self._connection.request(method, target, body, dict(headers or {}))
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self.close()  # what is left of it answers no next request
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _hung_up(self) -> bool:
        # An idle connection has nothing to read but its end. Asking first, instead of sending again
        # after a failure, is what keeps a request from being delivered twice.
        sock = self._connection.sock
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
