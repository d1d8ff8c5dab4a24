"""The public listener: one path that events come to, and a health check beside it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.types import Message, Receive, Scope, Send

from bandwidth_voice_exporter.http import Clients, Network, client_of, sender_of
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import (
    COUNTED,
    DUPLICATE,
    IGNORED,
    PASSED,
    UNAUTHENTICATED,
    Instruments,
    Result,
)
from bandwidth_voice_exporter.voice import (
    WANTS_BXML,
    Event,
    MalformedError,
    from_json,
    from_query,
    labels,
)
from bandwidth_voice_exporter.webhook.credentials import Credentials
from bandwidth_voice_exporter.webhook.intake import Intake
from bandwidth_voice_exporter.webhook.refusal import AbortedError, Header, RefusedError

if TYPE_CHECKING:  # its dependencies come only with the extra
    from bandwidth_voice_exporter.forward import Relay

_MISSING = "credentials are missing"
_WRONG = "credentials are wrong"
_UNANSWERED = "requests come without credentials, and none with them: these events are lost"
_UNCOUNTED = "a request that is no event was passed on: no call is counted from it"
_OTHER_PATH = "a POST to another path than the webhook's was refused: an event would be lost"
_NO_QUERY = (
    "this address takes the disconnect webhooks of Bandwidth Programmable Voice, "
    "not a browser's visit; it works"
)

_RECORDED = int(HTTPStatus.NO_CONTENT)
_NO_CONTENT: Message = {"type": "http.response.start", "status": _RECORDED, "headers": []}
_NO_BODY: Message = {"type": "http.response.body", "body": b""}

# Refusals that are left to the handler.
_PASSED_ON = ("malformed", "too_large")
_NO_EVENT = ""


class Webhook:
    """The ASGI endpoint that turns a request into a recorded event.

    ``credentials`` is None where anybody may send; ``relay`` where nothing is passed on. A request
    that is passed on is the handler's to refuse: if it is no event, it is no rejection.
    """

    def __init__(  # noqa: PLR0913  # its parts, each by name
        self,
        *,
        intake: Intake,
        instruments: Instruments,
        credentials: Credentials | None,
        max_body_bytes: int,
        proxies: Sequence[Network],
        clients: Clients,
        log: Log,
        relay: "Relay | None" = None,
    ) -> None:
        self._intake = intake
        self._instruments = instruments
        self._credentials = credentials
        self._max_body_bytes = max_body_bytes
        self._proxies = proxies
        self._clients = clients
        self._log = log
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have the handler that it is passed on to answer it."""
        relay = self._relay
        try:
            if relay:
                await self._pass_on(relay, scope, receive, send)
            else:
                await self._take(scope, receive)
        except RefusedError as refused:
            self._instruments.rejected(refused.reason)
            if refused.reason == UNAUTHENTICATED and self._instruments.is_unanswered:
                self._warn_of_client(_UNANSWERED, scope)
            body = msgspec.json.encode({"error": refused.message})
            await self._answer(send, refused.status, refused.headers, body)
        except AbortedError:
            pass  # the connection counts requests that end without an answer
        except asyncio.CancelledError:  # the listener closes, and this is not done
            self._instruments.rejected("aborted")
            sender_of(scope).hang_up()
        except Exception:  # noqa: BLE001  # a bug here must not print the request with a traceback
            self._log.exception("webhook failed")
            self._instruments.rejected("internal")
            sender_of(scope).hang_up()
        else:
            if not relay:
                self._instruments.request(_RECORDED)
                await send(_NO_CONTENT)
                await send(_NO_BODY)

    async def _pass_on(self, relay: "Relay", scope: Scope, receive: Receive, send: Send) -> None:
        """Record and count an event, and have it answered; a malformed one is not recorded."""
        delivery = relay.delivery(scope, receive)
        try:
            event_type = await self._take(scope, delivery.receive)
        except RefusedError as refused:
            if refused.reason not in _PASSED_ON:
                raise
            event_type = _NO_EVENT
            self._instruments.event(labels.INVALID, PASSED, [])
            self._warn_of_client(_UNCOUNTED, scope)
        if not await relay(delivery, event_type, send):
            sender_of(scope).hang_up()

    async def _take(self, scope: Scope, receive: Receive) -> str:
        """Record and count an event; return its type. Raises RefusedError and AbortedError."""
        method = scope["method"]
        if method not in ("POST", "GET"):
            raise RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method",
                "events come by POST or GET",
                ((b"allow", b"GET, POST"),),
            )
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._credentials:
            self._check(self._credentials, headers.get(b"authorization"), scope)
        if method == "GET":
            arrival = self._intake.take(from_query, self._query(scope))
        else:
            if int(headers.get(b"content-length", b"0")) > self._max_body_bytes:
                raise self._too_large()
            message = await receive()
            if message.get("more_body") or message["type"] == "http.disconnect":
                message = await self._whole(message, receive)
            body: bytes = message["body"]
            if len(body) > self._max_body_bytes:
                raise self._too_large()
            arrival = self._intake.take(from_json, body)
        try:
            is_new = await arrival.recorded
        except MalformedError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "malformed", str(error)) from None
        self._count(scope, headers, arrival.event, is_new=is_new)
        return arrival.event.event_type

    async def _whole(self, message: Message, receive: Receive) -> Message:
        """Return a body of which there was only a part, as far as it is not too large."""
        body = b""
        while message["type"] != "http.disconnect":
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > self._max_body_bytes:
                return {"body": body}
            message = await receive()
        raise AbortedError

    def _check(self, credentials: Credentials, authorization: bytes | None, scope: Scope) -> None:
        """Ask for the right credentials; warn where wrong ones come."""
        if credentials.accept(authorization):
            sender_of(scope).trust()
            return
        is_question = not authorization
        if not is_question:
            self._warn_of_client(_WRONG, scope)
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            UNAUTHENTICATED if is_question else "unauthorized",
            _MISSING if is_question else _WRONG,
            ((b"www-authenticate", b'Basic realm="webhooks", charset="UTF-8"'),),
        )

    def _warn_of_client(self, message: str, scope: Scope) -> None:
        if self._log.is_due(message):
            self._log.warning(message, client=client_of(scope, self._proxies))

    def _count(
        self, scope: Scope, headers: Mapping[bytes, bytes], recorded: Event, *, is_new: bool
    ) -> None:
        if not self._credentials:
            sender_of(scope).trust()
        self._clients.note(scope, headers, self._intake.received)
        result: Result
        if recorded.call is None:
            result = PASSED if self._relay else IGNORED
            if recorded.event_type in WANTS_BXML and not self._relay:
                self._warn_of_wiring(recorded.event_type)
        else:
            result = COUNTED if is_new else DUPLICATE
        self._instruments.event(recorded.event_type, result, recorded.field_errors)

    def _query(self, scope: Scope) -> bytes:
        query: bytes = scope["query_string"]
        if not query:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "malformed", _NO_QUERY)
        if len(query) > self._max_body_bytes:
            raise self._too_large()
        return query

    def _too_large(self) -> RefusedError:
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the event is larger than {self._max_body_bytes} bytes",
            ((b"connection", b"close"),),  # the rest of it is not read
        )

    def _warn_of_wiring(self, event_type: str) -> None:
        message = "this event wants BXML, which an exporter cannot give: check its URL"
        if self._log.is_due(message):
            self._log.warning(message, event_type=event_type)

    def miss(self, scope: Scope, path: str) -> None:
        """Log a POST to another path than this: if it was an event, it is lost."""
        if scope["method"] == "POST" and self._log.is_due(_OTHER_PATH):
            client = client_of(scope, self._proxies)
            self._log.warning(_OTHER_PATH, expected=path, client=client)

    async def _answer(
        self, send: Send, status: HTTPStatus, headers: Iterable[Header], body: bytes
    ) -> None:
        self._instruments.request(status)
        await send(_start(status, headers, body))
        await send({"type": "http.response.body", "body": body})


def _start(status: HTTPStatus, headers: Iterable[Header], body: bytes) -> Message:
    length = str(len(body)).encode()
    described = [*headers, (b"content-type", b"application/json"), (b"content-length", length)]
    return {"type": "http.response.start", "status": status, "headers": described}
