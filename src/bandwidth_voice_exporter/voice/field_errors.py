"""Errors of an event's fields: a field that cannot be used costs no call, and is counted."""

from typing import Literal

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
