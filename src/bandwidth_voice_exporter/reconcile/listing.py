"""Bandwidth's list of calls, decoded: a call's end from each entry, and nothing personal.

``to``, ``from``, ``identity`` and ``stirShaken`` have no field here: a field that is never decoded
cannot leak.
"""

from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.voice import (
    DISCONNECT,
    TRANSFER_DISCONNECT,
    CallEnded,
    Payload,
    Pseudonyms,
    read_event,
)

_Read = TypeVar("_Read")

_DISCONNECTED = "disconnected"


class UnreadableError(ValueError):
    """An answer that does not have the expected form."""


class ListEntry(msgspec.Struct, rename="camel", gc=False):
    """A call as the list has it, each field of any type; None where it is absent."""

    application_id: object = None
    call_id: object = None
    parent_call_id: object = None
    direction: object = None
    state: object = None
    enqueued_time: object = None
    start_time: object = None
    answer_time: object = None
    end_time: object = None
    disconnect_cause: object = None
    error_message: object = None
    error_id: object = None

    @property
    def has_ended(self) -> bool:
        """Whether the call is over."""
        state = self.state.lower() if isinstance(self.state, str) else ""
        return state == _DISCONNECTED or bool(self.end_time)


class Statistics(msgspec.Struct, rename="camel"):
    """Bandwidth's queue of an account's calls."""

    current_call_queue_size: int | None = None
    max_call_queue_size: int | None = None


class Token(msgspec.Struct):
    """A token, which gives access for some seconds."""

    access_token: str
    expires_in: float = 0.0


_PAGE = msgspec.json.Decoder(list[ListEntry])
_ENTRY = msgspec.json.Decoder(ListEntry)
_STATISTICS = msgspec.json.Decoder(Statistics)
_TOKEN = msgspec.json.Decoder(Token)


def page(body: bytes) -> list[ListEntry]:
    """Read a page of the list. Raises UnreadableError."""
    return _read(_PAGE, body)


def entry(body: bytes) -> ListEntry:
    """Read one call. Raises UnreadableError."""
    return _read(_ENTRY, body)


def statistics(body: bytes) -> Statistics:
    """Read an account's statistics. Raises UnreadableError."""
    return _read(_STATISTICS, body)


def token(body: bytes) -> Token:
    """Read a token. Raises UnreadableError."""
    found = _read(_TOKEN, body)
    if not (found.access_token.isascii() and found.access_token.isprintable()):
        raise UnreadableError
    return found


def ended(one: ListEntry, received: int, pseudonyms: Pseudonyms) -> CallEnded | None:
    """Return an ended call as the ledger has it, received now; None where there is nothing in it.

    A second leg is one that has a parent, as in Bandwidth's webhooks.
    """
    event = read_event(
        Payload(
            event_type=TRANSFER_DISCONNECT if one.parent_call_id else DISCONNECT,
            application_id=one.application_id,
            call_id=one.call_id,
            parent_call_id=one.parent_call_id,
            direction=one.direction,
            enqueued_time=one.enqueued_time,
            start_time=one.start_time,
            answer_time=one.answer_time,
            end_time=one.end_time,
            cause=one.disconnect_cause,
            error_message=one.error_message,
            error_id=one.error_id,
        ),
        received,
        pseudonyms,
    )
    return event.call and msgspec.structs.replace(event.call, is_reconciled=True)


def _read(decoder: msgspec.json.Decoder[_Read], body: bytes) -> _Read:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableError from None
