"""Relays deliveries: each is passed on, tried again while there is time, or given no answer."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

import msgspec
from starlette.types import Receive, Scope, Send

from bandwidth_voice_exporter.forward import headers
from bandwidth_voice_exporter.forward.delivery import Delivery, GoneError, TooLargeError
from bandwidth_voice_exporter.forward.handler import FailedError, Handler
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import ForwardReason, Instruments, RouteInstruments
from bandwidth_voice_exporter.voice import may_want_bxml

_FAILED = "a handler gave no answer"
# A request that was cut off may have been taken: it is sent once more, as Bandwidth would.
_PAUSE = 0.05  # seconds
_OF_THIS_SIDE = ("overload", "loop", "stopped")  # reasons that say nothing about the handler


class RelayTerms(msgspec.Struct, frozen=True):
    """A path's limits: seconds, requests at once, bytes of one and of all of them.

    Up to ``event_bytes`` of a request are held, so that it can be sent again. ``is_lenient`` means
    that an event that wants no BXML is answered 204 in place of the handler.
    """

    seconds: float
    most: int
    event_bytes: int
    request_bytes: int
    held_bytes: int
    is_lenient: bool


class Relay:
    """A path's requests on their way to its handler; ``name`` is this exporter's in Via."""

    def __init__(  # noqa: PLR0913  # its parts, each by name
        self,
        *,
        route: str,
        handler: Handler,
        name: str,
        terms: RelayTerms,
        instruments: Instruments,
        counted: RouteInstruments,
        log: Log,
    ) -> None:
        self._route = route
        self._handler = handler
        self._name = name
        self._terms = terms
        self._instruments = instruments
        self._log = log
        self._in_flight = 0
        self._held_bytes = 0
        self._counted = counted

    def delivery(self, scope: Scope, receive: Receive) -> Delivery:
        """Return a request that can be read, and then passed on."""
        return Delivery(scope, receive, self._terms.request_bytes)

    async def __call__(self, delivery: Delivery, event_type: str, send: Send) -> bool:
        """Pass a request on and the answer back; return whether there was one."""
        # In a task, which timeouts need and the listener's requests do not have. It goes on where
        # the sender has gone: the handler gets every event that was recorded.
        return await asyncio.get_running_loop().create_task(
            self._pass_on(delivery, event_type, _Reply(send))
        )

    async def _pass_on(self, delivery: Delivery, event_type: str, reply: "_Reply") -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout_at(delivery.began + self._terms.seconds):
                await delivery.read(self._terms.event_bytes)
                with self._share(delivery):
                    status = await self._tried(delivery, reply)
        except TooLargeError:
            return await self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reply)
        except GoneError:
            return False
        except FailedError as failed:
            return await self._failed(failed.reason, event_type, reply)
        except TimeoutError:
            reason: ForwardReason = "connect" if self._handler.is_away else "timeout"
            return await self._failed(reason, event_type, reply)
        except asyncio.CancelledError:  # the listener closes
            return await self._failed("stopped", event_type, reply)
        self._counted.answered(status, loop.time() - began)
        self._instruments.request(status)
        return True

    @contextmanager
    def _share(self, delivery: Delivery) -> Iterator[None]:
        """Count a request that waits for the handler. Raises FailedError if too many do."""
        held = delivery.size
        self._in_flight += 1
        self._held_bytes += held
        self._counted.in_flight.set(self._in_flight)
        try:
            if self._in_flight > self._terms.most or self._held_bytes > self._terms.held_bytes:
                raise FailedError("overload")
            if headers.has_passed(delivery.scope, self._name):
                raise FailedError("loop")
            yield
        finally:
            self._held_bytes -= held
            self._in_flight -= 1
            self._counted.in_flight.set(self._in_flight)

    async def _tried(self, delivery: Delivery, reply: "_Reply") -> int:
        try:
            return await self._handler.ask(delivery, reply)
        except FailedError as failed:
            if failed.reason != "reset" or reply.is_begun or delivery.is_spent:
                raise
            if (
                self._handler.is_failing
            ):  # a try takes half a millisecond, and Bandwidth's is to come
                raise
        self._counted.up.set(0)
        await asyncio.sleep(_PAUSE)
        return await self._handler.ask(delivery, reply)

    async def _failed(self, reason: ForwardReason, event_type: str, reply: "_Reply") -> bool:
        self._counted.failed(reason, is_down=reason not in _OF_THIS_SIDE)
        if self._log.is_due(f"{_FAILED}: {self._route}"):
            self._log.warning(_FAILED, route=self._route, reason=reason)
        if self._terms.is_lenient and not (reply.is_begun or may_want_bxml(event_type)):
            return await self._answer(HTTPStatus.NO_CONTENT, reply)
        return False

    async def _answer(self, status: HTTPStatus, reply: "_Reply") -> bool:
        """Answer in place of the handler, unless it has begun to."""
        if reply.is_begun:
            return False
        self._instruments.request(status)
        is_refused = status != HTTPStatus.NO_CONTENT
        await reply.begin(
            status, ((b"content-length", b"0"), (b"connection", b"close")) if is_refused else ()
        )
        await reply.part(b"", is_last=True)
        return True


class _Reply:
    """The answer on its way to the sender."""

    def __init__(self, send: Send) -> None:
        self.is_begun = False
        self._send = send

    async def begin(self, status: int, own: Sequence[headers.Header]) -> None:
        """Send the head."""
        self.is_begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": own})

    async def part(self, body: bytes, *, is_last: bool) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})
