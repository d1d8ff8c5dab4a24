"""The payload of a webhook request: JSON or a query string in, the fields of interest out.

``from``, ``to``, ``transferTo``, ``transferCallerId`` and ``tag`` are not fields of interest: they
are personal data, and a field that is never decoded cannot leak.
"""

import json
import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

_LONGEST_NUMBER = len("-9223372036854775808")

if TYPE_CHECKING:
    Value = object  # its type is looked at before it is used
else:
    Value = Any  # for an object, msgspec would take a fifth longer


class Payload(msgspec.Struct, rename="camel", gc=False):
    """An event's fields as they came, each of any type; None where a field is absent."""

    event_type: Value = None
    event_time: Value = None
    application_id: Value = None
    call_id: Value = None
    parent_call_id: Value = None
    direction: Value = None
    enqueued_time: Value = None
    start_time: Value = None
    answer_time: Value = None
    end_time: Value = None
    cause: Value = None
    error_message: Value = None
    error_id: Value = None
    sip_call_id: Value = None
    sip_response_code: Value = None


class MalformedError(ValueError):
    """A request that no event can be read from; the message never quotes the request."""


_FIELDS = dict(zip(Payload.__struct_encode_fields__, Payload.__struct_fields__, strict=True))
_IN_FORM = re.compile(rf"(?:^|[&;])(?:{'|'.join(_FIELDS)})=")
_DECODER = msgspec.json.Decoder(Payload)


def from_json(body: bytes) -> Payload:
    """Read a request body.

    Raises MalformedError where the body is neither a JSON object nor a form with a field of an
    event.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _tolerant(body)


def from_query(query: bytes) -> Payload:
    """Read a query string: the last of repeated fields wins, digits may be numbers."""
    return _of(_fields_of(query.decode(errors="replace")))


def _fields_of(form: str) -> dict[str, Value]:
    """Return the fields of a query or form, of one too that went through HTML."""
    fields: dict[str, Value] = dict(
        parse_qsl(form.replace("&amp;", "&"), errors="replace")  # drops empty values
    )
    if isinstance(code := fields.get("sipResponseCode"), str):
        fields["sipResponseCode"] = _number(code)
    return fields


def _tolerant(body: bytes) -> Payload:
    """Read bodies the fast decoder refuses: a byte order mark, lone surrogates, huge numbers."""
    if not body.strip():
        raise MalformedError("the body is empty; a JSON object was expected")
    text = body.decode(json.detect_encoding(body), errors="replace")
    try:
        fields = json.loads(text, strict=False, parse_int=_number)
    except json.JSONDecodeError as error:
        form = text.strip()
        if _IN_FORM.search(form):
            return _of(_fields_of(form))
        raise MalformedError(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None
    if not isinstance(fields, dict):
        raise MalformedError(f"the body is a JSON {_json_type(fields)}, not an object")
    return _of(fields)


def _of(fields: dict[str, Value]) -> Payload:
    return Payload(
        **{attribute: fields[name] for name, attribute in _FIELDS.items() if name in fields}
    )


def _number(digits: str) -> int | float | str:
    """Return the number, infinity where it is too long for int(), the text where it is none."""
    if len(digits) > _LONGEST_NUMBER:
        return math.inf
    return int(digits) if digits.isascii() and digits.removeprefix("-").isdigit() else digits


def _json_type(value: object) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    return "value"
