"""Calls as rows for programs: JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping

from bandwidth_voice_exporter.ops import formats
from bandwidth_voice_exporter.voice import SECOND, CallEnded, fault_domain

FIELDS = (
    *("time", "event_type", "cause", "fault_domain", "direction", "application"),
    *("application_id", "answered", "duration_seconds", "sip_response_code", "error_message"),
    *("call_id", "error_id", "sip_call_id", "parent_call_id", "start_time", "end_time"),
)

# Beginnings by which a spreadsheet takes a cell for a formula, which could leak the sheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def row(call: CallEnded, names: Mapping[str, str]) -> dict[str, object]:
    """Return a call's FIELDS; ``names`` are applications' names by id.

    The duration is from answer to end, or from start to end where nobody answered.
    """
    return {
        "time": formats.iso(call.received),
        "event_type": call.event_type,
        "cause": call.cause,
        "fault_domain": fault_domain(call.cause),
        "direction": call.direction,
        "application": names.get(call.application, call.application),
        "application_id": call.application,
        "answered": call.answered,
        "duration_seconds": _seconds(call.talk if call.answered else call.unanswered),
        "sip_response_code": call.sip_response_code,
        "error_message": call.error_message,
        "call_id": call.call_id,
        "error_id": call.error_id,
        "sip_call_id": call.sip_call_id,
        "parent_call_id": call.parent_call_id,
        "start_time": formats.iso(call.start_time) or None,
        "end_time": formats.iso(call.end_time) or None,
    }


def csv_head() -> bytes:
    """Return the line with the names of the columns."""
    return _lines([FIELDS])


def csv_lines(calls: Iterable[CallEnded], names: Mapping[str, str]) -> bytes:
    """Return a line for each call, in which no cell is a formula."""
    return _lines([_cell(value) for value in row(call, names).values()] for call in calls)


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / SECOND
