"""A body limit as Starlette's documentation writes a middleware that is to be fast: plain ASGI."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 64 * 1024


class BodyLimit:
    """Answers 413 to a request that says it is too large, and ends one that is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > MOST:
                await PlainTextResponse("too large", 413)(scope, receive, send)
                return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST:
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, limited, send)
