"""As little as a receiver can do that counts: msgspec, one counter, one histogram, nothing stored.

No framework, no bounded labels, no redelivery recognised; an event with a field that is not as it
should be is refused.
"""

import os
import secrets
from datetime import datetime
from typing import Any

import msgspec
from prometheus_client import Counter, Histogram, generate_latest

_PATH, _METRICS = "/webhooks/voice", "/metrics"
_AUTHORIZATION = os.environ["WEBHOOK_AUTHORIZATION"].encode()
_DURATIONS = (1, 3, 6, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)

CALLS = Counter("bandwidth_voice_calls", "Ended calls.", ("application", "direction", "cause"))
DURATION = Histogram("bandwidth_voice_call_duration_seconds", "Calls.", buckets=_DURATIONS)


class Event(msgspec.Struct):
    """The fields that it reads of an event."""

    applicationId: str  # noqa: N815  # as Bandwidth writes them
    direction: str
    cause: str
    startTime: datetime  # noqa: N815  # as above
    endTime: datetime  # noqa: N815  # as above


_decode = msgspec.json.Decoder(Event).decode


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Count an event, or say what was counted."""
    if scope["path"] == _METRICS:
        await _answer(send, 200, generate_latest())
        return
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    given = dict(scope["headers"]).get(b"authorization", b"")
    if scope["path"] != _PATH or not secrets.compare_digest(given, _AUTHORIZATION):
        await _answer(send, 401)
        return
    try:
        event = _decode(body)
    except msgspec.DecodeError:
        await _answer(send, 400)
        return
    CALLS.labels(event.applicationId, event.direction, event.cause).inc()
    DURATION.observe((event.endTime - event.startTime).total_seconds())
    await _answer(send, 204)


async def _answer(send: Any, status: int, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})
