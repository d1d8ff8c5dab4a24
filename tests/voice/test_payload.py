"""Reading requests: what is taken, what is refused, what is never said."""

import json
import math
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwidth_voice_exporter.voice import payload
from bandwidth_voice_exporter.voice.payload import MalformedError, Payload

PERSONAL = ("from", "to", "transferTo", "transferCallerId", "tag")
FIELDS = {
    "eventType": "event_type",
    "eventTime": "event_time",
    "applicationId": "application_id",
    "callId": "call_id",
    "parentCallId": "parent_call_id",
    "direction": "direction",
    "enqueuedTime": "enqueued_time",
    "startTime": "start_time",
    "answerTime": "answer_time",
    "endTime": "end_time",
    "cause": "cause",
    "errorMessage": "error_message",
    "errorId": "error_id",
    "sipCallId": "sip_call_id",
    "sipResponseCode": "sip_response_code",
}

BUSY = '{"cause":"busy"}'
NESTED = {depth: b"[" * depth + b"]" * depth for depth in (100, 500)}

REFUSALS = (
    "the body is empty; a JSON object was expected",
    "the body is nested too deeply",
    "the body is a JSON array, not an object",
    "the body is a JSON string, not an object",
    "the body is a JSON value, not an object",
)
PARSER_WORDS = (
    "Expecting value",
    "Expecting ',' delimiter",
    "Expecting ':' delimiter",
    "Expecting property name enclosed in double quotes",
    "Illegal trailing comma before end of object",
    "Illegal trailing comma before end of array",
    "Extra data",
    "Unterminated string starting at",
    "Invalid \\escape",
    "Invalid \\uXXXX escape",
    "Unexpected UTF-8 BOM (decode using utf-8-sig)",
)
REFUSAL = re.compile(
    f"(?:{'|'.join(map(re.escape, REFUSALS))})"
    f"|the body is not JSON: (?:{'|'.join(map(re.escape, PARSER_WORDS))})"
    r" \(line (\d+), column (\d+)\)"
)


def message(body: bytes) -> str | None:
    """Return the message that refuses a body, or None where the body is taken."""
    try:
        payload.from_json(body)
    except MalformedError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("name", "attribute"), FIELDS.items())
def test_every_field_from_both(name: str, attribute: str) -> None:
    """A field of Bandwidth's name is read from JSON and from a query."""
    assert getattr(payload.from_json(json.dumps({name: "x"}).encode()), attribute) == "x"
    assert getattr(payload.from_query(f"{name}=x".encode()), attribute) == "x"


def test_no_other_fields() -> None:
    """A payload has the fields of interest only, none of them personal."""
    assert set(Payload.__struct_encode_fields__) == set(FIELDS)
    assert not set(PERSONAL) & set(FIELDS)


@pytest.mark.parametrize("name", PERSONAL)
@pytest.mark.parametrize("tail", [b"}", b',"x":NaN}'], ids=["fast", "tolerant"])
def test_personal_fields_are_not_decoded(name: str, tail: bytes) -> None:
    """A personal field leaves no trace, whichever decoder reads the body."""
    assert payload.from_json(b'{"%s":"+19195550100"' % name.encode() + tail) == Payload()
    assert payload.from_query(f"{name}=%2B19195550100".encode()) == Payload()


@pytest.mark.parametrize(
    "body",
    [
        BUSY.encode(),
        f" \r\n\t{BUSY}\n".encode(),
        BUSY.encode("utf-8-sig"),
        BUSY.encode("utf-16"),
        BUSY.encode("utf-16-le"),
        BUSY.encode("utf-16-be"),
        BUSY.encode("utf-32"),
        b'{"cause":"busy","x":"\\ud800"}',
        b'{"x":"\\udc00\\ud800","cause":"busy"}',
        b'{"cause":"busy","x":NaN,"y":Infinity,"z":-Infinity}',
        b'{"cause":"busy","x":%s}' % (b"9" * 5000),
        b'{"cause":"busy","x":-%s}' % (b"9" * 5000),
        b'{"cause":"busy","x":1e999}',
        b'{"cause":"busy","x":"\x00\x01\n"}',
        b'{"cause":"busy","x":"\xff\xc3"}',
        b'{"cause":"busy","\xff":1}',
        b'{"cause":"busy","x":%s}' % NESTED[100],
        b'{"x":%s,"cause":"busy"}' % NESTED[500],
        b'{"cause":"busy","x":%s,"y":NaN}' % NESTED[100],
        b'{"cause":"hangup","cause":"busy"}',
        b'{"cause":"busy","x":NaN,"cause":"busy"}',
    ],
)
def test_what_only_a_tolerant_decoder_takes(body: bytes) -> None:
    """The fields of a body are read, whatever else in it is odd."""
    assert payload.from_json(body) == Payload(cause="busy")


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (b'"\\ud800"', "\ud800"),
        (b'"a\x01b"', "a\x01b"),
        (b'"a\xffb"', "a\ufffdb"),
        (b"Infinity", math.inf),
        (b"1e999", math.inf),
        (b"9" * 5000, math.inf),
        (b"18446744073709551616", 18446744073709551616),
        (b"-7", -7),
    ],
)
def test_odd_values_arrive(literal: bytes, value: object) -> None:
    """An odd value of a field of interest arrives as it can, and its neighbours with it."""
    expected = Payload(cause=value, direction="inbound")
    assert payload.from_json(b'{"cause":%s,"direction":"inbound"}' % literal) == expected


def test_odd_bytes_in_a_tolerated_number() -> None:
    """A number beside a byte order mark is a number still."""
    assert payload.from_json(b'\xef\xbb\xbf{"sipResponseCode":486}').sip_response_code == 486


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty; a JSON object was expected"),
        (b" \n", "the body is empty; a JSON object was expected"),
        (b"[1]", "the body is a JSON array, not an object"),
        (b'"x"', "the body is a JSON string, not an object"),
        (b"1", "the body is a JSON value, not an object"),
        (b"null", "the body is a JSON value, not an object"),
        (b"NaN", "the body is a JSON value, not an object"),
        (b"[" * 30_000, "the body is nested too deeply"),
        (b'{"x":' + b"[" * 30_000, "the body is nested too deeply"),
        (b'{"a":1,\n "b" 2}', "the body is not JSON: Expecting ':' delimiter (line 2, column 6)"),
        (b"\x89PNG", "the body is not JSON: Expecting value (line 1, column 1)"),
        (b"\xef\xbb\xbf", "the body is not JSON: Expecting value (line 1, column 1)"),
        (b"to=busy", "the body is not JSON: Expecting value (line 1, column 1)"),
    ],
)
def test_refusals_say_what_and_where(body: bytes, said: str) -> None:
    """The refusal of a body that is no JSON object says what was found and where."""
    assert message(body) == said


@pytest.mark.parametrize(
    "body",
    [
        b'{"callId":"c","secret-%s',
        b'{"secret-%s" 1}',
        b"{secret-%s:1}",
        b'{"a":"\\secret-%s"}',
        b'{"a":"\\usecret-%s"}',
        b'"secret-%s"',
        b'["secret-%s"]',
        b'{"a":1}secret-%s',
        b"secret-%s",
        b'{"a":tru"secret-%s"}',
        b"\xffsecret-%s\xff",
    ],
)
def test_refusals_do_not_quote(body: bytes) -> None:
    """The refusal of a body quotes no part of it, wherever the fault is."""
    said = message(body.replace(b"%s", b"+19195550100"))
    assert said is not None
    assert not any(part in said for part in ("secr", "cret", "1919", "5550", "0100"))


JSON_LIKE = st.text('{}[]":,\\/ \n+-.0123456789abceflnrstuENIadfinty', max_size=60)


@given(
    st.one_of(
        st.binary(max_size=300),
        JSON_LIKE.map(str.encode),
        st.text(max_size=60).map(lambda text: b'{"cause":"busy","tag":"' + text.encode() + b'"'),
    )
)
def test_any_bytes_are_taken_or_refused_in_fixed_words(body: bytes) -> None:
    """For any bytes at all the message has fixed words and a place in the body, nothing else."""
    said = message(body)
    if said is None:
        return
    match = REFUSAL.fullmatch(said)
    assert match, said
    assert all(int(place) <= len(body) + 1 for place in match.groups() if place)


@given(
    st.text(min_size=4, max_size=40), st.sampled_from(["{%s}", '{"a":%s', '["%s"]', '"%s', "%s"])
)
def test_no_run_of_the_body_is_quoted(text: str, frame: str) -> None:
    """Without its fixed words a message has no four characters in a row of the body."""
    body = frame % text
    rest = message(body.encode()) or ""
    for words in (*REFUSALS, *PARSER_WORDS, "the body is not JSON: ", " (line ", ", column "):
        rest = rest.replace(words, "\0")
    assert not any(body[at : at + 4] in rest for at in range(len(body) - 3))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, *PERSONAL, "x"]), JSON))
def test_any_object_is_taken(fields: dict[str, Any]) -> None:
    """Any JSON object is a payload that has the fields of interest where they were."""
    taken = payload.from_json(json.dumps(fields).encode())
    present = {
        FIELDS[name] for name, value in fields.items() if name in FIELDS and value is not None
    }
    found = {name for name, value in msgspec.structs.asdict(taken).items() if value is not None}
    assert found == present


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"cause=hangup&cause=busy", Payload(cause="busy")),
        (b"direction=inbound&amp;cause=busy", Payload(direction="inbound", cause="busy")),
        (b"cause=busy&direction=", Payload(cause="busy")),
        (b"cause=", Payload()),
        (b"cause", Payload()),
        (b"&&=&=x", Payload()),
        (b"x=y&cause=busy#z", Payload(cause="busy#z")),
        (b"cause=node%2Dcapacity%2dexceeded", Payload(cause="node-capacity-exceeded")),
        (b"errorMessage=Callee+is%20busy", Payload(error_message="Callee is busy")),
        (b"cause=%zz", Payload(cause="%zz")),
        (b"cause=%", Payload(cause="%")),
        (b"cause=%ff%F0%9F", Payload(cause="\ufffd\ufffd")),
        (b"cause=\xff", Payload(cause="\ufffd")),
        (b"cause=%00", Payload(cause="\0")),
        (b"%63ause=busy", Payload(cause="busy")),
    ],
)
def test_queries(query: bytes, expected: Payload) -> None:
    """In a query the last of repeats wins, empty is absent, and bad escapes lose no neighbour."""
    assert payload.from_query(query) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("486", 486),
        ("-1", -1),
        ("007", 7),
        ("486.0", "486.0"),
        ("4e2", "4e2"),
        ("--1", "--1"),
        ("-", "-"),
        ("busy", "busy"),
        ("%D9%A4", "\u0664"),
        ("9" * 5000, math.inf),
    ],
)
def test_digits_of_a_query(text: str, value: object) -> None:
    """Digits are a number where a number is expected; anything else stays what it is."""
    assert payload.from_query(f"sipResponseCode={text}".encode()).sip_response_code == value


def test_digits_elsewhere_are_text() -> None:
    """Digits of a field that is text stay text."""
    assert payload.from_query(b"callId=123").call_id == "123"


@given(st.binary(max_size=300))
def test_any_query_is_taken(query: bytes) -> None:
    """No query string is refused."""
    assert isinstance(payload.from_query(query), Payload)


@pytest.mark.parametrize(
    "body",
    [
        b"cause=busy&to=x&sipResponseCode=486",
        b" cause=busy&sipResponseCode=486\r\n",
        b"from=x&amp;cause=busy&amp;sipResponseCode=486",
        "cause=busy&tag=Zo\u00eb&sipResponseCode=486".encode(),
        b"\xef\xbb\xbfcause=busy&sipResponseCode=486",
    ],
)
def test_a_form_is_read(body: bytes) -> None:
    """A body that is a form with a field of an event is as good as JSON."""
    assert payload.from_json(body) == Payload(cause="busy", sip_response_code=486)


def test_a_form_without_values_is_an_event_without_fields() -> None:
    """A form is known by the names in it."""
    assert payload.from_json(b"eventType=&callId=") == Payload()
