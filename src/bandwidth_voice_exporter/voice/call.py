"""An ended call, read leniently: no call is lost for a field that is missing or unusable.

Times are whole microseconds since 1970, durations whole microseconds. Field by field, the source
is Bandwidth's disconnect and transferDisconnect webhook pages.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from bandwidth_voice_exporter.voice import labels
from bandwidth_voice_exporter.voice.causes import DOMAIN_OF_CAUSE
from bandwidth_voice_exporter.voice.clock import SECOND
from bandwidth_voice_exporter.voice.event_types import COUNTED_TYPES, DISCONNECT, spelled
from bandwidth_voice_exporter.voice.message import masked
from bandwidth_voice_exporter.voice.payload import Payload

DIRECTIONS = ("inbound", "outbound")
REJECTION_CODES = range(300, 700)

# No call lasts a month: a clock that says so is broken, and would spoil a sum for good.
_LONGEST_SPAN = 30 * 24 * 3600 * SECOND

_LONGEST_CODE = 9  # digits

_TIME_SIGNS = frozenset("Tt ")
_NO_TIMES = frozenset({"", "0", "false"})
_FIRST_MOMENTS = ("0001-01-01", "0000-00-00", "1970-01-01T00:00:00")
_LEAP_SECOND = re.compile(r"(?<=\d:\d\d:)60", re.ASCII)
_LOST_PLUS = re.compile(r"(?<=[T\d:.]) (\d\d:?\d\d)$", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 24 * 3600
_read_time = datetime.fromisoformat

FieldReason = Literal["missing", "type", "malformed", "order", "range"]
_ID_REASONS: tuple[FieldReason, ...] = ("type", "malformed")
_TIME_REASONS: tuple[FieldReason, ...] = ("type", "malformed", "order", "range")
# The closed set of label values of the field errors' metric.
FIELD_REASONS: dict[str, tuple[FieldReason, ...]] = {
    "eventType": ("missing", *_ID_REASONS),
    "callId": ("missing", *_ID_REASONS),
    "parentCallId": _ID_REASONS,
    "applicationId": _ID_REASONS,
    "direction": _ID_REASONS,
    "cause": _ID_REASONS,
    "errorId": _ID_REASONS,
    "errorMessage": ("type",),
    "sipCallId": _ID_REASONS,
    "sipResponseCode": ("type", "range"),
    "eventTime": ("type", "malformed", "range"),
    "enqueuedTime": ("type", "malformed"),
    "startTime": _TIME_REASONS,
    "answerTime": _TIME_REASONS,
    "endTime": _TIME_REASONS,
}

FieldErrors = list[tuple[str, FieldReason]]
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
    event_time = _time(payload.event_time, "eventTime", errors)
    enqueued = _time(payload.enqueued_time, "enqueuedTime", errors)
    start = _time(payload.start_time, "startTime", errors)
    answer = _time(payload.answer_time, "answerTime", errors)
    end = _time(payload.end_time, "endTime", errors)
    # An answer at a time that cannot be read is an answer all the same.
    answered = answer is not None or not (
        payload.answer_time is None or _is_no_time(payload.answer_time)
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
        _delay(event_time, received, errors),
        _span(enqueued, start, "startTime", errors),  # queue
        _span(start, answer, "answerTime", errors),  # setup
        _span(answer, end, "endTime", errors),  # talk
        None if answered else _span(start, end, "endTime", errors),
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


def _time(value: Any, field: str, errors: FieldErrors) -> int | None:
    if value is None:
        return None
    try:
        moment = _read_time(value)
    except TypeError:
        errors.append((field, "type"))
        return None
    except ValueError:
        if _is_no_time(value):
            return None
        try:
            moment = _read_time(_mended(value))
        except ValueError:
            errors.append((field, "malformed"))
            return None
    # A day is not a moment, a row of digits neither.
    if "T" not in value and _TIME_SIGNS.isdisjoint(value):
        errors.append((field, "malformed"))
        return None
    try:
        since = moment - _EPOCH
    except TypeError:  # without an offset
        since = moment.replace(tzinfo=UTC) - _EPOCH
    # Divided by a microsecond, it would take twice as long.
    time = (since.days * _DAY + since.seconds) * SECOND + since.microseconds
    return time if time > 0 or not _is_no_time(value) else None


def _is_no_time(value: object) -> bool:
    """Whether a value says that there is no time, as some programs do by their first moment."""
    if not isinstance(value, str):
        return not value
    return value in _NO_TIMES or labels.is_nothing(value) or value.startswith(_FIRST_MOMENTS)


def _mended(text: str) -> str:
    """Return a time as it was before a program that did not know its form changed it."""
    text = _LEAP_SECOND.sub("59", text.strip())
    if text.endswith("z"):
        return f"{text[:-1]}Z"
    return _LOST_PLUS.sub(r"+\1", text)  # an unescaped + of a query is a space


def _span(since: int | None, until: int | None, field: str, errors: FieldErrors) -> int | None:
    if since is None or until is None:
        return None
    span = until - since
    if span < 0:
        errors.append((field, "order"))
        return None
    if span > _LONGEST_SPAN:
        errors.append((field, "range"))
        return None
    return span


def _delay(event_time: int | None, received: int, errors: FieldErrors) -> int | None:
    if event_time is None:
        return None
    delay = received - event_time
    if abs(delay) > _LONGEST_SPAN:
        errors.append(("eventTime", "range"))
        return None
    return max(0, delay)


def _message(value: object, errors: FieldErrors) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        errors.append(("errorMessage", "type"))
        return None
    return masked(value)
