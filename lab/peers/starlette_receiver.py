"""A receiver as one writes it with Starlette and prometheus_client: counted, nothing stored."""

import base64
import os
import secrets
from datetime import UTC, datetime
from typing import Any

import orjson  # type: ignore[import-not-found]  # in an environment of its own
from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from lab.peers import metrics
from lab.peers.limits import BodyLimit

_TIMES = ("eventTime", "enqueuedTime", "startTime", "answerTime", "endTime")
_PAIR = f"{os.environ['WEBHOOK_USERNAME']}:{os.environ['WEBHOOK_PASSWORD']}".encode()


def _may_send(request: Request) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        return secrets.compare_digest(base64.b64decode(encoded), _PAIR)
    except ValueError:
        return False


def _answer(status: int, **headers: str) -> Response:
    metrics.REQUESTS.labels(str(status)).inc()
    return Response(status_code=status, headers=headers)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def receive(request: Request) -> Response:
    """Count one event."""
    if not _may_send(request):
        return _answer(401, **{"www-authenticate": "Basic"})
    received = datetime.now(UTC)
    try:
        event: dict[str, Any] = orjson.loads(await request.body())
        if event["eventType"] in ("disconnect", "transferDisconnect"):
            metrics.count(
                event_type=event["eventType"],
                application=event["applicationId"],
                direction=event["direction"],
                cause=event["cause"],
                sip_response_code=event.get("sipResponseCode"),
                times={name: _time(event.get(name)) for name in _TIMES},
                received=received,
            )
    except (ValueError, KeyError, TypeError):
        return _answer(400)
    return _answer(204)


application = Starlette(
    routes=[
        Route("/webhooks/voice", receive, methods=["POST"]),
        Mount("/metrics", make_asgi_app()),
    ],
    middleware=[Middleware(BodyLimit)],
)
