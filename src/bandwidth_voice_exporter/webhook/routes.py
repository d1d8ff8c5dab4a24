"""The public listener's paths: the events' own, and a health check."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.webhook.endpoint import Webhook


def application(
    path: str,
    webhook: Webhook,
    instruments: Instruments,
    is_ready: Callable[[], bool],
    others: Mapping[str, Webhook] | None = None,
) -> ASGIApp:
    """Return the listener's application: the webhook at a path, PATH/ready, and nothing else.

    But for the ``others`` by their paths, of which one that ends with / is all under it. More
    slashes than there should be do not make another path.
    """
    place = _single(path)
    ready_path = _single(f"{place}/ready")
    another = _finder(others or {})

    starlette = _beside(path, ready_path, webhook, instruments, is_ready)

    def straight(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The one path that is busy does without what Starlette does for any route.
        if scope["path"] == path:
            return webhook(scope, receive, send)
        found = _single(scope["path"])
        if found == place:
            return webhook(scope, receive, send)
        if found != ready_path and (other := another(scope)):
            return other(scope, receive, send)
        return starlette({**scope, "path": found}, receive, send)

    return straight


def _beside(
    path: str,
    ready_path: str,
    webhook: Webhook,
    instruments: Instruments,
    is_ready: Callable[[], bool],
) -> ASGIApp:
    """Return the health check, and what all other paths are answered."""

    async def ready(request: Request) -> Response:
        del request
        status = HTTPStatus.OK if is_ready() else HTTPStatus.SERVICE_UNAVAILABLE
        instruments.request(status)
        return Response(status_code=status)

    async def not_allowed(request: Request, error: Exception) -> Response:
        del error
        webhook.miss(request.scope, path)
        instruments.rejected("method")
        instruments.request(HTTPStatus.METHOD_NOT_ALLOWED)
        return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD"})

    async def not_found(request: Request, error: Exception) -> Response:
        del error
        webhook.miss(request.scope, path)
        instruments.rejected("path")
        instruments.request(HTTPStatus.NOT_FOUND)
        return Response(status_code=HTTPStatus.NOT_FOUND)

    starlette = Starlette(
        routes=[Route(ready_path, ready, methods=["GET"])],
        exception_handlers={
            HTTPStatus.NOT_FOUND: not_found,
            HTTPStatus.METHOD_NOT_ALLOWED: not_allowed,
        },
    )
    # A redirect loses the event: Bandwidth would have to send it again, and does not.
    starlette.router.redirect_slashes = False
    return starlette


def _finder(others: Mapping[str, Webhook]) -> Callable[[Scope], Webhook | None]:
    above = sorted((one for one in others if one.endswith("/")), key=len, reverse=True)

    def find(scope: Scope) -> Webhook | None:
        asked, raw = scope["path"], scope["raw_path"].decode("latin-1")
        if asked in others:
            return others[asked]
        # A handler may take dots as steps up, out of the path.
        if {".", ".."} & {*asked.split("/")}:
            return None
        return next((others[one] for one in above if raw.startswith(one)), None)

    return find


def _single(path: str) -> str:
    """Return a path with one slash between its parts, and none at its end."""
    return "/" + "/".join(filter(None, path.split("/")))
