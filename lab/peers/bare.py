"""The ceiling: uvicorn, and an application that reads a request and says 204."""

from typing import Any


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything."""
    del scope
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
