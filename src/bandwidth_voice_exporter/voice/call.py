"""An ended call, read leniently: no call is lost for a field that is missing or unusable.

Times are whole microseconds since 1970, durations whole microseconds. Field by field, the source
is Bandwidth's disconnect and transferDisconnect webhook pages.
"""

from collections.abc import Callable

import msgspec

from bandwidth_voice_exporter.voice import labels
from bandwidth_voice_exporter.voice.causes import DOMAIN_OF_CAUSE
from bandwidth_voice_exporter.voice.event_types import COUNTED_TYPES, DISCONNECT, spelled
from bandwidth_voice_exporter.voice.field_errors import FieldErrors
from bandwidth_voice_exporter.voice.message import masked
from bandwidth_voice_exporter.voice.payload import Payload
from bandwidth_voice_exporter.voice.times import delay_of, is_no_time, span_of, time_of

DIRECTIONS = ("inbound", "outbound")
REJECTION_CODES = range(300, 700)

_LONGEST_CODE = 9  # digits

# Returns the stand-in for a call id that must not be kept; None if there can be none.
StandIn = Callable[[str], str | None]


class CallEnded(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One ended call leg as it is stored and counted, without anything personal.

    ``application``, ``direction`` and ``cause`` are ``missing`` or ``invalid`` where there is no
    usable value. ``call_id`` is None where the event cannot be deduplicated, and a pseudonym where
    the id must not be kept. ``is_reconciled`` if only Bandwidth's list of calls reported it. The
    ledger keeps the fields in their order: a new one comes last, with a default.
    """

    received: int
    event_type: str
    call_id: str | None
    parent_call_id: str | None
    sip_call_id: str | None
    application: str
    direction: str
    cause: str
    answered: bool
    error_id: str | None
    error_message: str | None
    sip_response_code: int | None
    start_time: int | None
    end_time: int | None
    delay: int | None
    queue: int | None
    setup: int | None
    talk: int | None
    unanswered: int | None
    is_reconciled: bool = False


class Event(msgspec.Struct, frozen=True, gc=False):
    """A webhook event: ``call`` is None where it is not about a call's end.

    ``event_type`` is ``missing`` or ``invalid`` where the event does not say.
    """

    event_type: str
    call: CallEnded | None
    field_errors: FieldErrors


def _no_stand_in(text: str) -> None:
    del text


def read_event(payload: Payload, received: int, stand_in: StandIn = _no_stand_in) -> Event:
    """Make an event of a payload received at a time (microseconds since 1970)."""
    errors: FieldErrors = []
    event_type = payload.event_type
    if event_type not in COUNTED_TYPES:
        event_type = _event_type(payload, errors)
        if event_type not in COUNTED_TYPES:
            return Event(event_type, None, [])
    return Event(event_type, _call(payload, event_type, received, errors, stand_in), errors)


def _event_type(payload: Payload, errors: FieldErrors) -> str:
    """Return what an event counts as that is none of the usual; what ends a call is of its end."""
    event_type = _label(payload.event_type, "eventType", errors, labels.is_word)
    if event_type not in (labels.MISSING, labels.INVALID):
        return spelled(event_type)
    if not payload.call_id or not (payload.cause or payload.end_time):
        return event_type
    if event_type == labels.MISSING:
        errors.append(("eventType", "missing"))
    return DISCONNECT


def _call(
    payload: Payload, event_type: str, received: int, errors: FieldErrors, stand_in: StandIn
) -> CallEnded:
    call_id = _text(payload.call_id, "callId", errors, labels.is_id)
    if call_id is None:
        if _is_nothing(payload.call_id):
            errors.append(("callId", "missing"))
        elif isinstance(payload.call_id, str):
            call_id = stand_in(payload.call_id)
    event_time = time_of(payload.event_time, "eventTime", errors)
    enqueued = time_of(payload.enqueued_time, "enqueuedTime", errors)
    start = time_of(payload.start_time, "startTime", errors)
    answer = time_of(payload.answer_time, "answerTime", errors)
    end = time_of(payload.end_time, "endTime", errors)
    # An answer at a time that cannot be read is an answer all the same.
    answered = answer is not None or not (
        payload.answer_time is None or is_no_time(payload.answer_time)
    )
    return CallEnded(  # in the order of its fields: by name they take ten times as long
        received,
        event_type,
        call_id,
        _text(payload.parent_call_id, "parentCallId", errors, labels.is_id),
        _text(payload.sip_call_id, "sipCallId", errors, labels.is_sip_call_id),
        _label(payload.application_id, "applicationId", errors, labels.is_application).lower(),
        _direction(payload.direction, errors),
        _cause(payload.cause, errors),
        answered,
        _text(payload.error_id, "errorId", errors, _is_error_id),
        _message(payload.error_message, errors),
        _rejection_code(payload.sip_response_code, errors),
        start,
        end,
        delay_of(event_time, received, errors),
        span_of(enqueued, start, "startTime", errors),  # queue
        span_of(start, answer, "answerTime", errors),  # setup
        span_of(answer, end, "endTime", errors),  # talk
        None if answered else span_of(start, end, "endTime", errors),
    )


def _text(
    value: object, field: str, errors: FieldErrors, is_usable: Callable[[str], bool]
) -> str | None:
    if not value and (value is None or value == ""):
        return None
    if not isinstance(value, str):
        errors.append((field, "type"))
        return None
    if not is_usable(value):
        if not labels.is_nothing(value):
            errors.append((field, "malformed"))
        return None
    return value


def _label(value: object, field: str, errors: FieldErrors, is_usable: Callable[[str], bool]) -> str:
    text = _text(value, field, errors, is_usable)
    if text is None:
        return labels.MISSING if _is_nothing(value) else labels.INVALID
    return text


def _direction(value: object, errors: FieldErrors) -> str:
    if value in DIRECTIONS:
        found: str = value
        return found
    if isinstance(value, str) and (lowered := value.lower()) in DIRECTIONS:
        return lowered
    return _label(value, "direction", errors, DIRECTIONS.__contains__)


def _cause(value: object, errors: FieldErrors) -> str:
    if isinstance(value, str) and value in DOMAIN_OF_CAUSE:
        return value
    cause = _label(value, "cause", errors, labels.is_word)
    lowered = cause.lower()
    return lowered if lowered in DOMAIN_OF_CAUSE else cause


def _is_nothing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, str) and labels.is_nothing(value))


def _is_error_id(text: str) -> bool:
    return labels.is_uuid(text) or labels.is_token(text)


def _rejection_code(value: object, errors: FieldErrors) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if labels.is_nothing(value):
            return None
        if value.isascii() and value.isdigit() and len(value) <= _LONGEST_CODE:
            value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        errors.append(("sipResponseCode", "type"))
        return None
    if value not in REJECTION_CODES:
        errors.append(("sipResponseCode", "range"))
        return None
    return value


def _message(value: object, errors: FieldErrors) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        errors.append(("errorMessage", "type"))
        return None
    return masked(value)
