"""A request that was read for its event, and can be passed on from its beginning."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Message, Receive, Scope


class GoneError(Exception):
    """The sender went away before the request was whole."""


class TooLargeError(Exception):
    """The request is too large to be passed on."""


class Delivery:
    """A request, and its body as far as it is read; ``began`` is in the event loop's time.

    At most ``most_bytes`` of it are passed on. ``fault`` is the error in it, if any.
    """

    def __init__(self, scope: Scope, receive: Receive, most_bytes: int) -> None:
        self.scope = scope
        self.began = asyncio.get_running_loop().time()
        self.is_whole = False
        self.is_spent = False
        self.size = 0
        self.fault: Exception | None = None
        self._receive = receive
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        """The body as far as it is read."""
        return b"".join(self._parts)

    @property
    def length(self) -> int | None:
        """The length that its head tells; None where it does not."""
        lengths = (value for name, value in self.scope["headers"] if name == b"content-length")
        return next(map(int, lengths), None)

    async def receive(self) -> Message:
        """Return the next part, as ASGI has it, and keep it."""
        message = await self._receive()
        if message["type"] == "http.request":
            part = message.get("body", b"")
            self._parts.append(part)
            self.size += len(part)
            self.is_whole = not message.get("more_body", False)
        return message

    async def read(self, enough: int) -> None:
        """Read on until it is whole, or larger than enough. Raises GoneError, TooLargeError."""
        if (self.length or 0) > self._most_bytes:
            raise TooLargeError
        while not self.is_whole and self.size <= enough:
            await self._read_on()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the part read and the rest as it comes, once. Raises GoneError, TooLargeError."""
        self.is_spent = True
        while True:
            parts, self._parts = self._parts, []
            if body := b"".join(parts):
                yield body
            if self.is_whole:
                return
            await self._read_on()

    async def _read_on(self) -> None:
        message = await self.receive()
        if message["type"] != "http.request":
            self.fault = GoneError()
        elif self.size > self._most_bytes:
            self.fault = TooLargeError()
        if self.fault:
            raise self.fault
