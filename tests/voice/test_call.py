"""Events: what is made of a payload, whatever is wrong with it."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwidth_voice_exporter.voice.call import CallEnded, Event, read_event
from bandwidth_voice_exporter.voice.clock import SECOND
from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS
from bandwidth_voice_exporter.voice.payload import Payload
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms, is_pseudonym

APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
CALL_ID = "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85"
ERROR_ID = "550e8400-e29b-41d4-a716-446655440000"
DAY = 24 * 3600 * SECOND
START = 1_655_504_380_000_000  # 2022-06-17T22:19:40Z
RECEIVED = START + 100 * SECOND

FULL = Payload(
    event_type="disconnect",
    event_time="2022-06-17T22:21:19.500Z",
    application_id=APPLICATION,
    call_id=CALL_ID,
    parent_call_id="c-parent",
    direction="outbound",
    enqueued_time="2022-06-17T22:19:38Z",
    start_time="2022-06-17T22:19:40Z",
    answer_time="2022-06-17T22:19:45.250Z",
    end_time="2022-06-17T22:21:15.250001Z",
    cause="rejected",
    error_message="Callee is busy",
    error_id=ERROR_ID,
    sip_call_id="abc@sbc",
    sip_response_code=486,
)
COUNTED = CallEnded(
    received=RECEIVED,
    event_type="disconnect",
    call_id=CALL_ID,
    parent_call_id="c-parent",
    sip_call_id="abc@sbc",
    application=APPLICATION,
    direction="outbound",
    cause="rejected",
    answered=True,
    error_id=ERROR_ID,
    error_message="Callee is busy",
    sip_response_code=486,
    start_time=START,
    end_time=START + 95_250_001,
    delay=500_000,
    queue=2 * SECOND,
    setup=5_250_000,
    talk=90_000_001,
    unanswered=None,
)

# The fields of a call that depend on each field of the payload.
DEPENDENTS = {
    "event_time": {"delay"},
    "application_id": {"application"},
    "call_id": {"call_id"},
    "parent_call_id": {"parent_call_id"},
    "direction": {"direction"},
    "enqueued_time": {"queue"},
    "start_time": {"start_time", "queue", "setup"},
    "answer_time": {"answered", "setup", "talk", "unanswered"},
    "end_time": {"end_time", "talk"},
    "cause": {"cause"},
    "error_message": {"error_message"},
    "error_id": {"error_id"},
    "sip_call_id": {"sip_call_id"},
    "sip_response_code": {"sip_response_code"},
}
NAMES = dict(zip(Payload.__struct_fields__, Payload.__struct_encode_fields__, strict=True))
LABELS = {"application_id": "application", "direction": "direction", "cause": "cause"}


def read(**changes: Any) -> Event:
    """The event of the full payload with other fields."""
    return read_event(msgspec.structs.replace(FULL, **changes), RECEIVED)


def call(**changes: Any) -> CallEnded:
    """The call of the full payload with other fields."""
    found = read(**changes).call
    assert found is not None
    return found


def test_full_event() -> None:
    """Every field of a full event is in its call, times in whole microseconds."""
    assert read() == Event("disconnect", COUNTED, [])


def test_transfer_disconnect() -> None:
    """The end of a transfer's second leg is a call of its own event type."""
    found = read(event_type="transferDisconnect", application_id=None)
    expected = {"event_type": "transferDisconnect", "application": "missing"}
    assert found.call == msgspec.structs.replace(COUNTED, **expected)
    assert found.event_type == "transferDisconnect"


WRONG: tuple[object, ...] = (
    None,
    "",
    7,
    -1,
    1.5,
    float("inf"),
    float("nan"),
    True,
    False,
    [],
    ["x"],
    {},
    {"x": "y"},
)
ODD = ("\ud800", "\0", "\n", " ", "x" * 60_000, "7" * 60_000, "+19195550100", "{}", "\U0001f4de")


@pytest.mark.parametrize("value", [*WRONG, *ODD], ids=lambda value: ascii(value)[:12])
@pytest.mark.parametrize("field", DEPENDENTS)
def test_bad_field_loses_itself_alone(field: str, value: object) -> None:
    """A bad value of a field leaves the call counted, and changes only the field's dependents."""
    found = read(**{field: value})
    assert found.call is not None
    before, after = msgspec.structs.asdict(COUNTED), msgspec.structs.asdict(found.call)
    assert {name for name in before if before[name] != after[name]} <= DEPENDENTS[field]
    assert {name for name, _ in found.field_errors} <= {NAMES[field]}


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("field", DEPENDENTS)
def test_absent_field_is_no_error(field: str, value: object) -> None:
    """A field that is null or empty is absent, which only of callId is worth a count."""
    expected = [("callId", "missing")] if field == "call_id" else []
    assert read(**{field: value}).field_errors == expected


@pytest.mark.parametrize("value", [[], {"x": 1}, 1.5, True, float("inf")], ids=repr)
@pytest.mark.parametrize("field", DEPENDENTS)
def test_wrong_type_is_counted_by_field(field: str, value: object) -> None:
    """A field of the wrong type is a field error of reason type."""
    assert read(**{field: value}).field_errors == [(NAMES[field], "type")]


@pytest.mark.parametrize(
    "field", sorted(DEPENDENTS.keys() - {"sip_response_code", "error_message"})
)
def test_malformed_is_counted_by_field(field: str) -> None:
    """Text that is not of its field's kind is a field error of reason malformed."""
    assert read(**{field: "\ud800\n"}).field_errors == [(NAMES[field], "malformed")]


@pytest.mark.parametrize(("field", "label"), LABELS.items())
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "missing"),
        ("", "missing"),
        (7, "invalid"),
        ({}, "invalid"),
        ("?", "invalid"),
        ("missing", "invalid"),
        ("invalid", "invalid"),
        ("other", "invalid"),
        ("x" * 60_000, "invalid"),
        ("n19195550100", "invalid"),
    ],
)
def test_labels_without_a_value(field: str, label: str, value: object, shown: str) -> None:
    """A label is missing where its field is absent and invalid where it cannot be used."""
    assert getattr(call(**{field: value}), label) == shown


@pytest.mark.parametrize("value", ["busy", "glare", "unknown", "Glare", "x-1234"])
def test_well_formed_causes_keep_their_name(value: str) -> None:
    """A cause that looks like one is taken as it is, documented or not."""
    assert call(cause=value).cause == value


@pytest.mark.parametrize("value", ["a12345", "sip-19195550100", "5xx", "a b", "a" * 41, "busy\n"])
def test_malformed_causes_are_invalid(value: str) -> None:
    """A cause with five digits in a row, or of another form, is invalid."""
    found = read(cause=value)
    assert found.call is not None
    assert found.call.cause == "invalid"
    assert found.field_errors == [("cause", "malformed")]


@pytest.mark.parametrize("value", ["in", "both", "inbound ", "INBOUNDS"])
def test_directions_are_closed(value: str) -> None:
    """A direction is inbound or outbound."""
    assert call(direction=value).direction == "invalid"
    assert call(direction="inbound").direction == "inbound"


def test_application_is_lower_case() -> None:
    """An application's id counts as the same in either case."""
    assert call(application_id=APPLICATION.upper()).application == APPLICATION


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (ERROR_ID, True),
        ("E-77:a_b", True),
        ("none", False),
        ("other", False),
        ("19195550100", False),
        ("a b", False),
        ("x" * 49, False),
        ("sip:alice", False),
        ("tel:911", False),
        ("12345678-1234-1234-1234-123456789012", False),
    ],
)
def test_error_ids(value: str, kept: bool) -> None:  # noqa: FBT001  # the table's expectation
    """An error id is a UUID or a short token that cannot be a phone number or a reserved word."""
    assert call(error_id=value).error_id == (value if kept else None)


IDS = {
    CALL_ID: True,
    "c-12345678-12345678-1234-1234-1234-123456789012": True,  # whatever Bandwidth's form holds
    "try-16h45m10s": True,
    ERROR_ID: True,
    "x" * 256: True,
    "x" * 257: False,
    "é": False,
    "+14155551234": False,
    "14155551234": False,
    "415-555-1234": False,
    "call-4155551234": False,
    "c-15ac29a2-14155551234": False,
    "12345678-1234-1234-1234-123456789012": False,
    "sip:alice@example.com": False,
    "SIP:alice": False,
    "x-sip:alice": False,
    "tel:911": False,
    "alice@example.com": False,
    "alice%40example.com": False,
}


@pytest.mark.parametrize(("value", "kept"), IDS.items())
def test_call_ids(value: str, kept: bool) -> None:  # noqa: FBT001  # the table's expectation
    """An id is up to 256 printable ASCII characters, no row of digits and no address."""
    for field, name in (("call_id", "callId"), ("parent_call_id", "parentCallId")):
        found = read(**{field: value})
        assert found.call is not None
        assert getattr(found.call, field) == (value if kept else None)
        assert found.field_errors == ([] if kept else [(name, "malformed")])


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("abc@sbc", True),
        ("7f3a90c2b4d5e618@192.0.2.10", True),
        ("60b16b4d-95ff-1236-8b95-525433b6115b", True),
        ("537925418_113421223@192.0.2.10", True),  # a session border controller's counters
        ("a84b4c76e66710@pc33.example.com", True),
        (f"{ERROR_ID}@4155551234.example.com", True),
        ("+14155551234@192.0.2.10", False),
        ("14155551234@192.0.2.10", False),
        ("(415)555-1234@192.0.2.10", False),
        ("14155551234", False),
        ("14155551234-x7@192.0.2.10", False),
        ("x-415-555-1234-y@192.0.2.10", False),
        ("x+14155551234@192.0.2.10", False),
        ("12345678-1234-1234-1234-123456789012@192.0.2.10", False),
        ("sip:alice@192.0.2.10", False),
        ("x\n@192.0.2.10", False),
    ],
)
def test_sip_call_ids(value: str, kept: bool) -> None:  # noqa: FBT001  # the table's expectation
    """A SIP Call-ID keeps its host, unless what is before it is a number."""
    found = read(sip_call_id=value)
    assert found.call is not None
    assert found.call.sip_call_id == (value if kept else None)
    assert found.field_errors == ([] if kept else [("sipCallId", "malformed")])


def test_an_id_that_is_not_kept_has_a_pseudonym() -> None:
    """It is the same for the same id and key, another for any other, and says nothing."""

    def stand_in(call_id: str, key: bytes = b"key") -> str | None:
        payload = msgspec.structs.replace(FULL, call_id=call_id)
        found = read_event(payload, RECEIVED, Pseudonyms(key)).call
        assert found is not None
        return found.call_id

    numbers = [f"+1415555{number:04}" for number in range(1000)]
    found = [stand_in(number) for number in numbers]
    assert found == [stand_in(number) for number in numbers]
    assert len({*found, stand_in(numbers[0], b"another"), stand_in("é" * 9000)}) == 1002
    assert all(one is not None and is_pseudonym(one) for one in found)
    assert stand_in(CALL_ID) == CALL_ID
    assert stand_in(found[0] or "") not in (found[0], None)  # one cannot be sent
    assert stand_in("") is None


@pytest.mark.parametrize(
    ("value", "code", "reasons"),
    [
        (300, 300, []),
        (699, 699, []),
        (299, None, ["range"]),
        (700, None, ["range"]),
        (-486, None, ["range"]),
        (10**30, None, ["range"]),
        ("486", 486, []),
        (486.0, 486, []),
        ("200", None, ["range"]),
        ("busy", None, ["type"]),
        ("9" * 5000, None, ["type"]),
        ("\u0664\u0668\u0666", None, ["type"]),
        (486.5, None, ["type"]),
        (float("inf"), None, ["type"]),
        ("null", None, []),
        (True, None, ["type"]),
    ],
)
def test_sip_response_codes(value: object, code: int | None, reasons: list[str]) -> None:
    """A SIP response code is a whole number from 300 to 699, as text too."""
    found = read(sip_response_code=value)
    assert found.call is not None
    assert found.call.sip_response_code == code
    assert found.field_errors == [("sipResponseCode", reason) for reason in reasons]


@pytest.mark.parametrize("answer", ["2022-06-17T22:19:45Z", "yesterday", "x" * 60_000])
def test_answered_by_answer_time(answer: str) -> None:
    """A call with an answerTime was answered, even at a time that cannot be read."""
    found = call(answer_time=answer)
    assert found.answered
    assert found.unanswered is None


@pytest.mark.parametrize("answer", [None, ""])
def test_unanswered_without_answer_time(answer: str | None) -> None:
    """A call without an answerTime was not answered: it rang from its start to its end."""
    found = call(answer_time=answer)
    assert not found.answered
    assert (found.setup, found.talk, found.unanswered) == (None, None, 95_250_001)


def test_numeric_answer_time_is_an_answer() -> None:
    """An answerTime that is a number cannot be read, but is an answer, as it is in a query."""
    found = call(answer_time=1_655_504_385_250)
    assert found.answered
    assert found.unanswered is None


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2022-06-17T22:19:40Z", 0),
        ("2022-06-17T22:19:40", 0),
        ("2022-06-17T22:19:40+00:00", 0),
        ("2022-06-17T22:19:40+0000", 0),
        ("2022-06-18T03:49:40+05:30", 0),
        ("2022-06-17T18:19:40-04:00", 0),
        ("2022-06-17 22:19:40Z", 0),
        ("20220617T221940Z", 0),
        ("2022-06-17T22:19:40.1Z", 100_000),
        ("2022-06-17T22:19:40.123Z", 123_000),
        ("2022-06-17T22:19:40.123456Z", 123_456),
        ("2022-06-17T22:19:40.123456", 123_456),
        ("2022-06-17T22:19:40.123456789Z", 123_456),
        ("2022-06-17T22:19:40.000000999Z", 0),
        ("2022-06-17T22:19:40.123456789+00:00", 123_456),
        ("2022-06-17T22:19:40,5Z", 500_000),
    ],
)
def test_times(text: str, microseconds: int) -> None:
    """A time is read from every ISO 8601 form to the microsecond; without a zone it is UTC."""
    assert call(start_time=text).start_time == START + microseconds


@pytest.mark.parametrize(
    "text",
    [
        *("2022-06-17", "20220617", "2022-06", "22:19:40Z", "now", "1655504380", "+19195550100"),
        *("2022-06-31T22:19:40Z", "2022-06-17T25:00:00Z", "2022-06-17T22:19:40+24:00"),
        *("2022-06-17T22:19:40ZZ", "-2022-06-17T22:19:40Z", "99999-06-17T22:19:40Z", "\ud800" * 20),
    ],
)
def test_malformed_times(text: str) -> None:
    """A text that names no moment is malformed as a time."""
    found = read(end_time=text)
    assert found.call is not None
    assert (found.call.end_time, found.call.talk) == (None, None)
    assert found.field_errors == [("endTime", "malformed")]


@pytest.mark.parametrize(
    "text", ["0001-01-02T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"], ids=["first", "last"]
)
def test_times_at_the_end_of_the_calendar(text: str) -> None:
    """The first and the last moments that can be written lose their spans, not the call."""
    found = read(start_time=text)
    assert found.call is not None
    assert (found.call.queue, found.call.setup) == (None, None)
    assert {reason for _, reason in found.field_errors} == {"order", "range"}


@pytest.mark.parametrize("fraction", ["", ".000", ".999999"])
def test_leap_seconds(fraction: str) -> None:
    """A leap second is the second before it, as clocks that know of none show it."""
    found = read(end_time=f"2022-06-17T22:20:60{fraction}Z")
    assert found.call is not None
    assert found.call.end_time == call(end_time=f"2022-06-17T22:20:59{fraction}Z").end_time
    assert found.field_errors == []


@pytest.mark.parametrize(
    "text",
    [
        "2022-06-17T22:19:45z",
        "2022-06-17t22:19:45Z",
        " 2022-06-17T22:19:45Z\n",
        "2022-06-17T22:19:45 00:00",
        "2022-06-17T22:19:45.000 0000",
        "2022-06-18T00:19:45 02:00",
    ],
)
def test_times_that_went_through_others(text: str) -> None:
    """A small z, space around it, and a + that a query made a space leave a time as it was."""
    found = read(start_time=text)
    assert found.call is not None
    assert found.call.start_time == call(start_time="2022-06-17T22:19:45Z").start_time
    assert found.field_errors == []


WORDS_FOR_NOTHING = ("null", "NULL", "None", "nil", "undefined")
WORDS_FOR_NO_TIME = (
    *WORDS_FOR_NOTHING,
    *("0", "false", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:00+00:00"),
    *("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", "0000-00-00T00:00:00Z"),
)


@pytest.mark.parametrize("value", [*WORDS_FOR_NO_TIME, 0, False, ""])
def test_no_time_is_no_answer(value: object) -> None:
    """A call whose answerTime only says that there is none was not answered."""
    found = call(answer_time=value)
    assert not found.answered
    assert (found.setup, found.talk) == (None, None)
    assert found.unanswered is not None


@pytest.mark.parametrize("text", WORDS_FOR_NO_TIME)
@pytest.mark.parametrize("field", ["event_time", "enqueued_time", "start_time", "end_time"])
def test_no_time_is_an_absent_one(field: str, text: str) -> None:
    """A time that only says that there is none counts as one that is not there, in any field."""
    assert read(**{field: text}) == read(**{field: None})


@pytest.mark.parametrize("text", WORDS_FOR_NOTHING)
@pytest.mark.parametrize("field", Payload.__struct_fields__)
def test_text_that_says_nothing_is_an_absent_one(field: str, text: str) -> None:
    """A word that programs write for no value is read as an absent field, call ids included."""
    if field == "event_type":
        assert read(event_type=text) == read(event_type=None)
    elif field == "error_message":
        return  # for people
    else:
        assert read(**{field: text}) == read(**{field: None})


@pytest.mark.parametrize(
    "written", ["Disconnect", "DISCONNECT", "TransferDisconnect", "transferdisconnect"]
)
def test_event_types_in_other_capitals(written: str) -> None:
    """An event whose type is only written in other capitals is counted as that type."""
    meant = "disconnect" if written.lower() == "disconnect" else "transferDisconnect"
    assert read(event_type=written) == read(event_type=meant)


def test_ignored_types_in_other_capitals() -> None:
    """An event that is not counted is named as Bandwidth names it."""
    assert read(event_type="Initiate") == Event("initiate", None, [])


@pytest.mark.parametrize(("field", "text"), [("cause", "Busy"), ("direction", "INBOUND")])
def test_known_words_in_other_capitals(field: str, text: str) -> None:
    """A documented cause or direction is not another one for its capitals."""
    assert read(**{field: text}) == read(**{field: text.lower()})


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=OFFSETS),  # noqa: DTZ001  # bounds
    st.integers(0, 29 * DAY),
    OFFSETS,
)
def test_durations_are_exact(start: datetime, span: int, zone: timezone) -> None:
    """A duration is exact to the microsecond, whatever zones its ends are written in."""
    end = (start + timedelta(microseconds=span)).astimezone(zone)
    found = call(
        start_time=start.isoformat(), answer_time=start.isoformat(), end_time=end.isoformat()
    )
    assert (found.setup, found.talk) == (0, span)


def moment(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


SPANS = {  # what is measured: from which field, to which, and whose error it is when it is absurd
    "queue": ("enqueued_time", "start_time", "startTime"),
    "setup": ("start_time", "answer_time", "answerTime"),
    "talk": ("answer_time", "end_time", "endTime"),
    "unanswered": ("start_time", "end_time", "endTime"),
}
NO_TIMES = dict.fromkeys(("enqueued_time", "start_time", "answer_time", "end_time"))


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize(
    ("length", "reasons"),
    [
        (0, []),
        (1, []),
        (29 * DAY, []),
        (-1, ["order"]),
        (-99 * DAY, ["order"]),
        (31 * DAY, ["range"]),
    ],
)
def test_spans(span: str, length: int, reasons: list[str]) -> None:
    """A span that is negative or longer than a month is left out, and its later end is to blame."""
    since, until, blamed = SPANS[span]
    found = read(**{**NO_TIMES, since: moment(START), until: moment(START + length)})
    assert found.call is not None
    assert getattr(found.call, span) == (None if reasons else length)
    assert found.field_errors == [(blamed, reason) for reason in reasons]


@pytest.mark.parametrize(
    ("age", "delay", "reasons"),
    [
        (0, 0, []),
        (1, 1, []),
        (-SECOND, 0, []),
        (29 * DAY, 29 * DAY, []),
        (31 * DAY, None, ["range"]),
        (-31 * DAY, None, ["range"]),
    ],
)
def test_delay(age: int, delay: int | None, reasons: list[str]) -> None:
    """The delay is never below 0, and left out where a clock is a month off."""
    found = read(event_time=moment(RECEIVED - age))
    assert found.call is not None
    assert found.call.delay == delay
    assert found.field_errors == [("eventTime", reason) for reason in reasons]


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        (None, [("eventType", "missing")]),
        ("", [("eventType", "missing")]),
        (7, [("eventType", "type")]),
        ("a b", [("eventType", "malformed")]),
        ("other", [("eventType", "malformed")]),
    ],
)
@pytest.mark.parametrize("without", ["cause", "end_time"])
def test_event_type_unusable(value: object, errors: list[tuple[str, str]], without: str) -> None:
    """Without an event type, a callId with a cause or an endTime is a disconnect."""
    found = read(event_type=value, **{without: None})
    assert found.event_type == "disconnect"
    assert found.call is not None
    assert found.call.event_type == "disconnect"
    assert found.field_errors == errors


@pytest.mark.parametrize("absent", [{"call_id": None}, {"cause": None, "end_time": ""}])
@pytest.mark.parametrize(("value", "shown"), [(None, "missing"), (7, "invalid"), ("?", "invalid")])
def test_event_type_unusable_and_no_disconnect(
    value: object, shown: str, absent: dict[str, Any]
) -> None:
    """Without an event type and what only a call's end has, an event is ignored."""
    found = read(event_type=value, **absent)
    assert (found.event_type, found.call) == (shown, None)


@pytest.mark.parametrize("value", ["answer", "initiate", "mediaStreamStarted", "Disconnected"])
def test_other_events_are_ignored(value: str) -> None:
    """An event of another type is no call's end, and what is wrong with it is nobody's concern."""
    assert read(event_type=value, cause=7) == Event(value, None, [])


ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
    st.datetimes(timezones=st.just(UTC) | st.none()).map(datetime.isoformat),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(DEPENDENTS, ANY_VALUE)))
def test_any_disconnect_is_a_call(fields: dict[str, Any]) -> None:
    """A disconnect is a call whatever its fields hold, and its errors are of the closed set."""
    found = read_event(Payload(event_type="disconnect", **fields), RECEIVED)
    assert found.call is not None
    assert all(reason in FIELD_REASONS[field] for field, reason in found.field_errors)
    msgspec.json.encode(found.call)  # no lone surrogate is left, nothing infinite


NUMBERS = (
    "+19195550100",
    "19195550100",
    "9195550100",
    "55501",
    "+1 919 555 0100",
    "+1 (919) 555-0100",
    "(919) 555-0100",
    "919-555-0100",
    "919.555.0100",
    "919/555/0100",
    "9 1 9 5 5 5 0 1 0 0",
    "+44 20 7946 0018",
    "\uff19\uff11\uff19\uff15\uff15\uff15\uff10\uff11\uff10\uff10",
    "%2B19195550100",
    # typographic and careless spellings
    "919 - 555 - 0100",
    "919\u00a0555\u00a00100",
    "919\u2011555\u20110100",
    "919\u2013555\u20130100",
    "919_555_0100",
    "919\t555\t0100",
    # digits of other scripts, in circles, raised, and as words of one sign
    "\u00b9\u2079\u00b9\u2079\u2075\u2075\u2075\u2070\u00b9\u2070\u2070",
    "\u2460\u2468\u2460\u2468\u2464\u2464\u2464\u24ea\u2460\u24ea\u24ea",
    "\u2776\u277e\u2776\u277e\u277a\u277a\u277a\u24ff\u2776\u24ff\u24ff",
    "\u4e5d\u4e00\u4e5d\u4e94\u4e94\u4e94\u3007\u4e00\u3007\u3007",
    "\u0661\u0669\u0661\u0669\u0665\u0665\u0665\u0660\u0661\u0660\u0660",
    "\U0001d7cf\U0001d7d7\U0001d7cf\U0001d7d7\U0001d7d3\U0001d7d3\U0001d7d3\U0001d7ce",
    "1\ufe0f\u20e39\ufe0f\u20e31\ufe0f\u20e39\ufe0f\u20e35\ufe0f\u20e35\ufe0f\u20e35\ufe0f\u20e3",
    # far apart, and with letters between
    "9    1    9    5    5    5    0    1    0    0",
    "919 -- -- 555 -- -- 0100",
    "9\u200b1\u200b9\u200b5\u200b5\u200b5\u200b0\u200b1\u200b0\u200b0",
    "9a1a9a5a5a5a0a1a0a0",
    "919abcd555abcd0100",
    "919 ext 555 x 0100",
    ERROR_ID.translate({ord(letter): "7" for letter in "abcdef"}),  # digits alone are no UUID
)


@pytest.mark.parametrize("number", NUMBERS, ids=ascii)
def test_numbers_are_masked(number: str) -> None:
    """A phone number in a message is masked in whatever way it is written."""
    message = call(error_message=f"call to {number} failed").error_message
    assert message is not None
    assert message.startswith("call to ")
    assert message.endswith(" failed")
    assert sum(character.isdigit() for character in message) < 5


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("sip:alice@example.com", ["alice", "example"]),
        ("sips:alice@example.com:5061;transport=tls", ["alice", "example"]),
        ("<sip:+19195550100@10.0.0.1>", ["9195", "10.0"]),
        ("sip:alice", ["alice"]),
        ("tel:911", ["911"]),
        ("alice@example.com", ["alice", "example"]),
        ("mailto:alice.b+c@example.co.uk", ["alice", "example"]),
        ("SIP:alice@example.com", ["alice", "example"]),
        ("sip:alice%40example.com", ["alice", "example"]),
        ("alice\uff20example.com", ["alice", "example"]),
        ("alice @ example.com", ["alice", "example"]),
        ('"alice b"@example.com', ["alice", "example"]),
        ('"Alice Smith" <sip:a@example.com>', ["Alice", "Smith", "example"]),
        ('"Alice Smith" sip:a@example.com', ["Alice", "Smith", "example"]),
        ("Alice Smith <sip:a@example.com>", ["Alice", "Smith", "example"]),
        ("SMITH JOHN <sips:a@example.com>", ["SMITH", "JOHN", "example"]),
        ("Alice <alice@example.com>", ["Alice", "alice", "example"]),
        ("s\u200bip:alice", ["alice"]),
        ("callto:alice", ["alice"]),
        (f"sip:{ERROR_ID}@example.com", [ERROR_ID, "example"]),
    ],
)
def test_addresses_are_masked(address: str, secrets: list[str]) -> None:
    """A SIP, telephone or e-mail address in a message is masked."""
    message = call(error_message=f"INVITE {address} refused").error_message
    assert message is not None
    assert message.startswith("INVITE ")
    assert message.endswith(" refused")
    assert not any(secret in message for secret in secrets)


@pytest.mark.parametrize(
    "text",
    [
        f"call {CALL_ID} failed",
        f"error {ERROR_ID}, see {CALL_ID}.",
        f"({ERROR_ID.upper()})",
        "SIP 486 Busy Here",
        "HTTP 502 after 2500 ms",
        f"503: {ERROR_ID}",  # a status before an id is no part of a number with it
        "Call was not answered",
        "HTTP 502 in 2500 ms",
        "Playback of greeting.ogg failed: not found",
        "Gesprächspartner besetzt",
        "通話中",
    ],
)
def test_harmless_messages_stay(text: str) -> None:
    """Words, short numbers, UUIDs and call ids stay readable in a message."""
    assert call(error_message=text).error_message == text


@given(st.text("0123456789 +-.()/@:;sip<>abcdef", max_size=80))
def test_no_digit_run_survives(text: str) -> None:
    """Masking leaves no five digits in a row, whatever surrounds them."""
    message = call(error_message=text).error_message or ""
    runs = "".join(character if character.isdigit() else " " for character in message).split()
    assert all(len(run) < 5 for run in runs)


def test_digits_as_long_as_an_id_are_masked() -> None:
    """Thirty-two digits in a row are masked, though they have the length of a UUID."""
    message = call(error_message=f"id {ERROR_ID[:24]}{'9' * 32}").error_message
    assert message == "id ***-***"


def test_lone_surrogates_of_a_message() -> None:
    """A lone surrogate in a message is replaced, and the rest of the message stays."""
    assert call(error_message="Callee \ud800 is busy").error_message == "Callee ? is busy"


def test_messages_are_cut() -> None:
    """A message is kept up to 500 characters."""
    message = call(error_message="x " * 30_000).error_message
    assert message is not None
    assert len(message) == 500


def test_number_at_the_cut_is_masked() -> None:
    """A number that reaches over the end of what is kept is masked before it is cut."""
    message = call(error_message="x" * 495 + " 19195550100").error_message
    assert message == "x" * 495 + " ***"


def masking_time(message: str) -> float:
    """The least processor time, in seconds, that an event with the message takes."""
    spent = []
    for _ in range(7):
        since = time.process_time()
        call(error_message=message)
        spent.append(time.process_time() - since)
    return min(spent)


@pytest.mark.parametrize(
    "text", ["a", "(", "c-", "sip:", "1 ", "a@", "1a", ": a ", ':"', ': "a" ', ": a <", "<sip:"]
)
def test_masking_is_linear(text: str) -> None:
    """Eight times the message takes about eight times as long, not sixty-four times."""
    short, long = text * (250 // len(text)), text * (2000 // len(text))
    assert masking_time(long) < 20 * masking_time(short)
