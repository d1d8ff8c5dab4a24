"""The times of an event, read leniently, and the durations between them, in whole microseconds."""

import re
from datetime import UTC, datetime
from typing import Any

from bandwidth_voice_exporter.voice import labels
from bandwidth_voice_exporter.voice.clock import SECOND
from bandwidth_voice_exporter.voice.field_errors import FieldErrors

# No call lasts a month: a clock that says so is broken, and would spoil a sum for good.
_LONGEST_SPAN = 30 * 24 * 3600 * SECOND

_TIME_SIGNS = frozenset("Tt ")
_NO_TIMES = frozenset({"", "0", "false"})
_FIRST_MOMENTS = ("0001-01-01", "0000-00-00", "1970-01-01T00:00:00")
_LEAP_SECOND = re.compile(r"(?<=\d:\d\d:)60", re.ASCII)
_LOST_PLUS = re.compile(r"(?<=[T\d:.]) (\d\d:?\d\d)$", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 24 * 3600
_read_time = datetime.fromisoformat


def time_of(value: Any, field: str, errors: FieldErrors) -> int | None:
    """Return a field's time since 1970; None where it has none, or, noting an error, no usable one.

    Its form is RFC 3339's, or near it.
    """
    if value is None:
        return None
    try:
        moment = _read_time(value)
    except TypeError:
        errors.append((field, "type"))
        return None
    except ValueError:
        if is_no_time(value):
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
    return time if time > 0 or not is_no_time(value) else None


def is_no_time(value: object) -> bool:
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


def span_of(since: int | None, until: int | None, field: str, errors: FieldErrors) -> int | None:
    """Return a duration; None where a time is missing or, noting an error, it cannot be."""
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


def delay_of(event_time: int | None, received: int, errors: FieldErrors) -> int | None:
    """Return how long after its time an event was received, 0 where clocks say before."""
    if event_time is None:
        return None
    delay = received - event_time
    if abs(delay) > _LONGEST_SPAN:
        errors.append(("eventTime", "range"))
        return None
    return max(0, delay)
