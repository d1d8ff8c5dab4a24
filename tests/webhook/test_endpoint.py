"""The real program answers every kind of request on the webhook listener, over real HTTP."""

import base64
import http.client
import itertools
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from bandwidth_voice_exporter.voice.event_types import IGNORED_TYPES, WANTS_BXML
from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS
from testkit.certificates import dial
from testkit.client import Answer, Client
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter

pytestmark = pytest.mark.program

LIMIT = 64 * 1024
COUNTER = re.compile(r"^bandwidth_voice_(?!call_talk)(\w+_total)\{(.*)\} (\S+)$", re.MULTILINE)
APPLICATION = "5a3c9e10-7d42-4f8b-9c61-0e8f7b2d4a95"
ENDED = "calls_total{answered=true,application=%s,cause=%s,direction=%s,fault_domain=%s}"
HANGUP = ENDED % (APPLICATION, "hangup", "inbound", "none")
ANSWERED_204 = {"exporter_webhook_requests_total{code=204}": 1.0}
COUNTED = {
    **ANSWERED_204,
    "exporter_events_total{event_type=disconnect,result=counted}": 1.0,
}
DUPLICATE = {
    **ANSWERED_204,
    "exporter_events_total{event_type=disconnect,result=duplicate}": 1.0,
}

Moves = dict[str, float]
Moved = Callable[[], Moves]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter for the tests that look at what their own requests move."""
    arguments = (f"--labels.application={APPLICATION}=sales", "--log.level=debug")
    with Exporter(tmp_path_factory.mktemp("webhook"), *arguments) as running:
        yield running
        assert [line for line in running.log_lines() if line["level"] == "error"] == []


@pytest.fixture
def moved(shared: Exporter) -> Moved:
    """A function that returns how far each counter but talk time has moved since the test began."""
    before = counters(shared)

    def since() -> Moves:
        return difference(before, counters(shared))

    return since


def counters(exporter: Exporter) -> Moves:
    """Counters by a name such as `exporter_rejected_total{reason=path}`."""
    found = {}
    # Read by hand: a whole parser takes longer than all that is tested here.
    for name, labels, value in COUNTER.findall(exporter.scrape().text):
        shown = ",".join(sorted(labels.replace('"', "").split(",")))
        found[f"{name}{{{shown}}}"] = float(value)
    return found


def difference(before: Moves, after: Moves) -> Moves:
    """The series whose value changed, with the difference; a new series began at 0."""
    assert set(before) <= set(after), "a series is gone"
    return {
        name.replace("application=sales", f"application={APPLICATION}"): value - before.get(name, 0)
        for name, value in after.items()
        if value != before.get(name, 0)
    }


def call_id() -> str:
    """A call id in Bandwidth's form that no other event has."""
    number = next(_numbers)
    return f"c-{os.getpid():08x}-{number:08x}-1234-4abc-8def-0123456789ab"


def ended(**fields: Any) -> dict[str, Any]:
    """An ordinary answered call; a field given as None is null."""
    return {
        "eventType": "disconnect",
        "eventTime": datetime.now(UTC).isoformat(),
        "accountId": "55555555",
        "applicationId": APPLICATION,
        "from": "+12065550142",
        "to": "+13035550117",
        "callId": call_id(),
        "direction": "inbound",
        "startTime": "2026-01-05T10:00:00.000Z",
        "answerTime": "2026-01-05T10:00:05.000Z",
        "endTime": "2026-01-05T10:01:00.000Z",
        "cause": "hangup",
    } | fields


def taken(answer: Answer) -> bool:
    """Whether it is a 204 as it should be: without a body and without headers about one."""
    described = {"content-type", "content-length", "transfer-encoding"}
    return (
        answer.status == 204
        and answer.body == b""
        and described.isdisjoint(name.lower() for name in answer.headers)
    )


def refusal(answer: Answer) -> str:
    """The sentence of a JSON error answer."""
    assert answer.headers.get_content_type() == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert set(answer.json) == {"error"}
    return str(answer.json["error"])


def get(exporter: Exporter, fields: Mapping[str, Any]) -> Answer:
    """Deliver an event as a GET; a None is an empty value."""
    query = urlencode({name: "" if value is None else value for name, value in fields.items()})
    return exporter.webhook.request("GET", f"{WEBHOOK_PATH}?{query}")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_ended_call_is_counted_once(shared: Exporter, moved: Moved, method: str) -> None:
    """A whole event is answered 204 without a body, and moves its own counters alone."""
    assert taken(shared.send(ended()) if method == "POST" else get(shared, ended()))
    assert moved() == COUNTED | {HANGUP: 1}


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_transfer_leg_is_counted_once(shared: Exporter, moved: Moved, method: str) -> None:
    """A transferDisconnect moves the legs' counter and not the calls'."""
    leg = ended(eventType="transferDisconnect", direction="outbound", parentCallId=call_id())
    assert taken(shared.send(leg) if method == "POST" else get(shared, leg))
    assert moved() == ANSWERED_204 | {
        "exporter_events_total{event_type=transferDisconnect,result=counted}": 1,
        "transfer_legs_total{answered=true,cause=hangup,direction=outbound,fault_domain=none}": 1,
    }


@pytest.mark.parametrize("event_type", ["disconnect", "transferDisconnect"])
def test_an_event_without_any_other_field_is_counted(
    shared: Exporter, moved: Moved, event_type: str
) -> None:
    """The event type alone is enough to be counted."""
    assert taken(shared.send({"eventType": event_type}))
    metric = "calls_total{" if event_type == "disconnect" else "transfer_legs_total{"
    assert sum(value for name, value in moved().items() if name.startswith(metric)) == 1


@pytest.mark.parametrize("name", sorted(ended()))
def test_a_missing_field_loses_no_call(shared: Exporter, moved: Moved, name: str) -> None:
    """Without any one of its fields an event is answered 204 and counted."""
    event = ended()
    del event[name]
    assert taken(shared.send(event))
    moves = moved()
    errors = {
        "callId": {"exporter_field_errors_total{field=callId,reason=missing}": 1.0},
        "eventType": {"exporter_field_errors_total{field=eventType,reason=missing}": 1.0},
    }
    assert only("exporter_field_errors_total", moves) == errors.get(name, {})
    assert sum(only("calls_total", moves).values()) == 1


@pytest.mark.parametrize("value", [7, -1.5, True, [], ["+12065550142"], {}, {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", sorted(FIELD_REASONS))
def test_a_field_of_the_wrong_type_is_all_that_is_lost(
    shared: Exporter, moved: Moved, name: str, value: object
) -> None:
    """A field of another type than its own is counted as such, and the call all the same."""
    assert taken(shared.send(ended(**{name: value})))
    moves = moved()
    reason = "range" if name == "sipResponseCode" and value == 7 else "type"
    if name == "sipResponseCode" and value is True:
        reason = "type"
    expected = {f"exporter_field_errors_total{{field={name},reason={reason}}}": 1}
    assert only("exporter_field_errors_total", moves) == expected
    assert sum(only("calls_total", moves).values()) == 1


@pytest.mark.parametrize("name", sorted(set(FIELD_REASONS) - {"callId", "eventType"}))
def test_a_null_field_is_an_absent_one(shared: Exporter, moved: Moved, name: str) -> None:
    """A null counts as a field that is not there, and is no error."""
    assert taken(shared.send(ended(**{name: None})))
    moves = moved()
    assert only("exporter_field_errors_total", moves) == {}
    assert sum(only("calls_total", moves).values()) == 1


@pytest.mark.parametrize(
    ("fields", "labels", "error"),
    [
        ({"cause": "not a word"}, {"cause": "invalid", "domain": "unclassified"}, "cause"),
        ({"cause": "x12065550142"}, {"cause": "invalid", "domain": "unclassified"}, "cause"),
        ({"cause": "missing"}, {"cause": "invalid", "domain": "unclassified"}, "cause"),
        ({"cause": ""}, {"cause": "missing", "domain": "unclassified"}, None),
        ({"cause": "node-melted"}, {"cause": "node-melted", "domain": "unclassified"}, None),
        ({"direction": "sideways"}, {"direction": "invalid"}, "direction"),
        ({"direction": None}, {"direction": "missing"}, None),
        ({"applicationId": "sales"}, {"application": "invalid"}, "applicationId"),
        ({"applicationId": None}, {"application": "missing"}, None),
        ({"applicationId": APPLICATION.upper()}, {"application": APPLICATION}, None),
    ],
    ids=repr,
)
def test_a_label_says_why_there_is_no_value(
    shared: Exporter,
    moved: Moved,
    fields: dict[str, Any],
    labels: dict[str, str],
    error: str | None,
) -> None:
    """An absent field counts as missing, and a value that does not fit its field as invalid."""
    assert taken(shared.send(ended(**fields)))
    label = {"application": APPLICATION, "cause": "hangup", "direction": "inbound"} | {
        "domain": "none"
    }
    label |= labels
    expected = ENDED % tuple(label[k] for k in ("application", "cause", "direction", "domain"))
    moves = moved()
    assert only("calls_total", moves) == {expected: 1}
    malformed = {f"exporter_field_errors_total{{field={error},reason=malformed}}": 1.0}
    assert only("exporter_field_errors_total", moves) == (malformed if error else {})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"startTime": "yesterday"}, "field=startTime,reason=malformed"),
        ({"startTime": "2026-01-05"}, "field=startTime,reason=malformed"),
        ({"answerTime": "2026-13-45T10:00:05Z"}, "field=answerTime,reason=malformed"),
        ({"answerTime": "2026-01-05T09:59:59Z"}, "field=answerTime,reason=order"),
        ({"endTime": "2026-01-05T10:00:01Z"}, "field=endTime,reason=order"),
        ({"endTime": "2036-01-05T10:00:01Z"}, "field=endTime,reason=range"),
        ({"eventTime": "1999-01-05T10:00:01Z"}, "field=eventTime,reason=range"),
        ({"enqueuedTime": "soon"}, "field=enqueuedTime,reason=malformed"),
        ({"sipResponseCode": 200}, "field=sipResponseCode,reason=range"),
        ({"sipResponseCode": "busy"}, "field=sipResponseCode,reason=type"),
        ({"errorId": "id of +12065550142"}, "field=errorId,reason=malformed"),
        ({"callId": "\N{SNOWMAN}"}, "field=callId,reason=malformed"),
        ({"callId": "c" * 300}, "field=callId,reason=malformed"),
        ({"parentCallId": "\n"}, "field=parentCallId,reason=malformed"),
        ({"sipCallId": "\x00"}, "field=sipCallId,reason=malformed"),
    ],
    ids=repr,
)
def test_an_unusable_value_loses_no_call(
    shared: Exporter, moved: Moved, fields: dict[str, Any], error: str
) -> None:
    """A time, code or id that cannot be used is counted by field and reason, and so is the call."""
    assert taken(shared.send(ended(**fields)))
    moves = moved()
    assert only("calls_total", moves) == {HANGUP: 1}
    assert only("exporter_field_errors_total", moves) == {
        f"exporter_field_errors_total{{{error}}}": 1
    }


def test_unknown_fields_are_no_matter(shared: Exporter, moved: Moved) -> None:
    """Fields that nobody documents change nothing."""
    assert taken(shared.send(ended(privacy=False, mediaStream={"a": [1, None]}, Cause="busy")))
    assert moved() == COUNTED | {HANGUP: 1}


def written(event: dict[str, Any], name: str, text: str) -> bytes:
    """The event as JSON, in which a field's value is put just as it is written here."""
    body = json.dumps(event | {name: "*"})
    assert body.count('"*"') == 1
    return body.replace('"*"', text).encode(errors="surrogateescape")


TOLERATED = {
    "lone surrogate": '"\\ud800"',
    "number of 1,000 digits": "1" * 1000,
    "number of 10,000 digits": "-" + "1" * 10_000,
    "number beyond every float": "1e999",
    "negative number beyond every float": "-1e999",
    "invalid UTF-8": '"\udcff\udcfe"',
    "truncated UTF-8": '"a\udce2\udc82"',
    "nested 100 arrays": "[" * 100 + "]" * 100,
    "nested 100 objects": '{"a":' * 100 + "1" + "}" * 100,
    "control characters": '"\x01\t\r\n"',
    "escaped null": '"\\u0000"',
    "not a number": "NaN",
}


@pytest.mark.parametrize("text", TOLERATED.values(), ids=TOLERATED)
@pytest.mark.parametrize("name", ["tag", "privacy"])
def test_what_is_odd_in_a_field_of_no_interest_is_no_matter(
    shared: Exporter, moved: Moved, name: str, text: str
) -> None:
    """An oddity in a field that is not used moves nothing but the call's own counters."""
    assert taken(shared.send_bytes(written(ended(), name, text)))
    assert moved() == COUNTED | {HANGUP: 1}


@pytest.mark.parametrize("text", TOLERATED.values(), ids=TOLERATED)
@pytest.mark.parametrize("name", sorted(set(FIELD_REASONS) - {"eventType"}))
def test_what_is_odd_in_a_field_loses_that_field_at_most(
    shared: Exporter, moved: Moved, name: str, text: str
) -> None:
    """An oddity in a field that is used leaves every other field as it is."""
    assert taken(shared.send_bytes(written(ended(), name, text)))
    moves = moved()
    [counted] = only("calls_total", moves)
    labels = {"applicationId": "application", "cause": "cause", "direction": "direction"}
    if name in labels:
        assert f"{labels[name]}=invalid" in counted
    else:
        # An answer at a time that cannot be read is an answer all the same.
        assert counted == HANGUP
    errors = only("exporter_field_errors_total", moves)
    assert [error for error in errors if f"field={name}," not in error] == []
    assert (sum(errors.values()), name) in {(1, name), (0, "errorMessage")}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", "\N{BOM}"), ("utf-16", ""), ("utf-16-le", ""), ("utf-16-be", ""), ("utf-32", "")],
)
def test_a_byte_order_mark_or_another_encoding_is_read(
    shared: Exporter, moved: Moved, encoding: str, mark: str
) -> None:
    """JSON with a byte order mark or in one of its other encodings is counted whole."""
    body = (mark + json.dumps(ended(tag="Zoë"), ensure_ascii=False)).encode(encoding)
    assert taken(shared.send_bytes(body))
    assert moved() == COUNTED | {HANGUP: 1}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("headers", [FORM, {}], ids=["named", "unnamed"])
def test_a_form_is_read(shared: Exporter, moved: Moved, headers: dict[str, str]) -> None:
    """A POST whose body is a form is counted as one of JSON is."""
    body = urlencode(ended(direction="outbound", cause="busy", sipResponseCode=486)).encode()
    assert taken(shared.send_bytes(body, headers))
    moves = moved()
    assert moves["sip_rejections_total{code=486}"] == 1
    assert only("exporter_field_errors_total", moves) == {}


@pytest.mark.parametrize(
    ("mark", "tag"),
    [("&", "Zo\u00eb"), ("&", "two words"), ("&amp;", "x"), ("&", "a HTTP/1.1 b")],
    ids=["utf-8", "space", "html", "version"],
)
def test_a_query_that_is_not_escaped_is_read(
    shared: Exporter, moved: Moved, mark: str, tag: str
) -> None:
    """A GET with raw UTF-8, spaces or HTML's ampersands in its address loses no call."""
    fields = ended(tag=tag) | {"from": "two words"}
    query = mark.join(f"{name}={value}" for name, value in fields.items())
    request = f"GET {WEBHOOK_PATH}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    host, _, port = shared.webhook_address.rpartition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as sock:
        for _ in range(2):  # the connection goes on
            sock.sendall(request)
            assert sock.recv(65536).startswith(b"HTTP/1.1 204 ")
    moves = moved()
    assert only("calls_total", moves) == {HANGUP: 1}
    assert moves["exporter_events_total{event_type=disconnect,result=duplicate}"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=iso-8859-1"},
        {"Content-Type": ""},
    ],
    ids=repr,
)
def test_the_content_type_is_no_matter(
    shared: Exporter, moved: Moved, headers: dict[str, str]
) -> None:
    """A JSON body is read whatever its header calls it."""
    assert taken(shared.send(ended(), headers))
    assert moved() == COUNTED | {HANGUP: 1}


def test_a_chunked_body_is_read(shared: Exporter, moved: Moved) -> None:
    """A body of unknown length within the limit is read to its end."""
    body = json.dumps(ended()).encode()
    with closing(http.client.HTTPConnection(shared.webhook_address, timeout=20)) as connection:
        pieces = iter([body[:10], body[10:11], body[11:]])
        connection.request("POST", WEBHOOK_PATH, pieces, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, response.read()) == (204, b"")
    assert moved() == COUNTED | {HANGUP: 1}


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_an_event_up_to_the_limit_is_read(shared: Exporter, moved: Moved, size: int) -> None:
    """A body as large as the limit is an event like any other."""
    assert taken(shared.send_bytes(json.dumps(ended()).encode().ljust(size)))
    assert moved() == COUNTED | {HANGUP: 1}


def test_get_reads_digits_as_a_number(shared: Exporter, moved: Moved) -> None:
    """A sipResponseCode in a query counts as the number that its digits are."""
    event = ended(cause="busy", direction="outbound", answerTime=None, sipResponseCode=486)
    assert taken(get(shared, event))
    moves = moved()
    assert moves.pop("sip_rejections_total{code=486}") == 1
    assert only("exporter_field_errors_total", moves) == {}


def test_get_reads_an_empty_value_as_absent(shared: Exporter, moved: Moved) -> None:
    """An empty value is a field that is not there, and is no error."""
    assert taken(get(shared, ended(cause=None, answerTime=None, errorId=None, tag=None)))
    counted = ENDED.replace("true", "false") % (APPLICATION, "missing", "inbound", "unclassified")
    error = "call_errors_total{cause=missing,direction=inbound,error_id=none}"
    assert moved() == COUNTED | {counted: 1, error: 1}


def test_get_takes_the_last_of_repeats(shared: Exporter, moved: Moved) -> None:
    """Of several values of one field the last one counts."""
    query = urlencode([*ended().items(), ("cause", "busy"), ("cause", "cancel")])
    assert taken(shared.webhook.request("GET", f"{WEBHOOK_PATH}?{query}"))
    counted = ENDED % (APPLICATION, "cancel", "inbound", "user")
    assert only("calls_total", moved()) == {counted: 1}


@pytest.mark.parametrize("cause", ["%ED%A0%80", "%FF", "%", "%zz", "%00", "a%20b"])
def test_get_loses_at_most_the_field_that_cannot_be_read(
    shared: Exporter, moved: Moved, cause: str
) -> None:
    """A value that is not text makes its own field invalid and no other."""
    event = ended()
    del event["cause"]
    target = f"{WEBHOOK_PATH}?cause={cause}&{urlencode(event)}"
    assert taken(shared.webhook.request("GET", target))
    counted = ENDED % (APPLICATION, "invalid", "inbound", "unclassified")
    assert only("calls_total", moved()) == {counted: 1}


@pytest.mark.parametrize("query", ["", "?"])
def test_a_browser_gets_a_sentence(shared: Exporter, moved: Moved, query: str) -> None:
    """A GET without a query is answered 400 with a sentence about what this address is."""
    answer = shared.webhook.request("GET", WEBHOOK_PATH + query)
    assert answer.status == 400
    assert "browser" in refusal(answer)
    assert moved() == {
        "exporter_webhook_requests_total{code=400}": 1,
        "exporter_rejected_total{reason=malformed}": 1,
    }


@pytest.mark.parametrize(("first", "second"), [*itertools.product(["POST", "GET"], repeat=2)])
def test_a_second_delivery_is_a_duplicate(
    shared: Exporter, moved: Moved, first: str, second: str
) -> None:
    """The same event type and call id again is answered 204 and not counted, however it comes."""
    event = ended()
    assert taken(shared.send(event) if first == "POST" else get(shared, event))
    assert moved() == COUNTED | {HANGUP: 1}
    again = event | {"cause": "busy"}
    assert taken(shared.send(again) if second == "POST" else get(shared, again))
    assert moved() == COUNTED | DUPLICATE | {HANGUP: 1} | {
        "exporter_webhook_requests_total{code=204}": 2
    }


def test_the_same_call_id_of_another_event_type_is_no_duplicate(
    shared: Exporter, moved: Moved
) -> None:
    """A disconnect and a transferDisconnect of one call id are both counted."""
    event = ended()
    assert taken(shared.send(event))
    assert taken(shared.send(event | {"eventType": "transferDisconnect"}))
    moves = moved()
    assert moves[HANGUP] == 1
    assert sum(only("transfer_legs_total", moves).values()) == 1


def test_events_without_a_call_id_are_all_counted(shared: Exporter, moved: Moved) -> None:
    """Without a call id nothing is a duplicate, and each time the field errors say so."""
    for event in (ended(callId=None), ended(callId=None), ended(callId="")):
        assert taken(shared.send(event))
    assert moved() == {
        HANGUP: 3,
        "exporter_webhook_requests_total{code=204}": 3,
        "exporter_events_total{event_type=disconnect,result=counted}": 3,
        "exporter_field_errors_total{field=callId,reason=missing}": 3,
    }


@pytest.mark.parametrize("event_type", sorted(IGNORED_TYPES))
def test_another_event_is_ignored_by_its_type(
    shared: Exporter, moved: Moved, event_type: str
) -> None:
    """An event about something else is answered 204 and only counted as ignored."""
    assert taken(shared.send(ended(eventType=event_type)))
    name = f"exporter_events_total{{event_type={event_type},result=ignored}}"
    assert moved() == ANSWERED_204 | {name: 1}


def test_new_event_types_are_capped(exporter: StartExporter) -> None:
    """Event types that nobody documents appear under their names up to a cap, then as other."""
    running = exporter()
    before = counters(running)
    names = [f"newEvent-{number}" for number in range(30)]
    for name in names * 2:
        assert taken(running.send(ended(eventType=name)))
    moves = difference(before, counters(running))
    events = only("exporter_events_total", moves)
    other = events.pop("exporter_events_total{event_type=other,result=ignored}")
    assert set(events.values()) == {2}
    assert 0 < len(events) < 30
    assert other == 60 - 2 * len(events)
    assert only("exporter_label_overflow_total", moves) == {
        "exporter_label_overflow_total{label=event_type}": other
    }
    assert only("calls_total", moves) == {}


def test_wrong_wiring_is_warned_of_once_a_minute(exporter: StartExporter) -> None:
    """Events that Bandwidth wants BXML for give one warning, however many come."""
    running = exporter()
    for event_type in sorted(WANTS_BXML) * 2:
        assert taken(running.send(ended(eventType=event_type)))
    assert taken(running.send(ended(eventType="recordingAvailable")))
    assert running.stop() == 0
    warnings = [line for line in running.log_lines() if "BXML" in line["msg"]]
    assert [(line["level"], line["event_type"]) for line in warnings] == [
        ("warning", min(WANTS_BXML))
    ]


@pytest.mark.parametrize("event_type", [None, "", 7, "not a word", "x12065550142"])
@pytest.mark.parametrize("kept", ["cause", "endTime"])
def test_what_looks_like_a_disconnect_is_one(
    shared: Exporter, moved: Moved, event_type: object, kept: str
) -> None:
    """Without a usable event type, a call id and a cause or an end time make a disconnect."""
    event = ended(eventType=event_type)
    del event["endTime" if kept == "cause" else "cause"]
    assert taken(shared.send(event))
    moves = moved()
    reason = {None: "missing", "": "missing", 7: "type"}.get(
        event_type if isinstance(event_type, int | str) else None, "malformed"
    )
    assert moves.items() >= COUNTED.items()
    assert only("exporter_field_errors_total", moves) == {
        f"exporter_field_errors_total{{field=eventType,reason={reason}}}": 1
    }
    assert sum(only("calls_total", moves).values()) == 1


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        ({}, "missing"),
        ({"callId": "c-1"}, "missing"),
        ({"cause": "hangup", "endTime": "2026-01-05T10:01:00Z"}, "missing"),
        ({"eventType": "not a word", "callId": "c-1"}, "invalid"),
        ({"eventType": ["disconnect"], "cause": "busy"}, "invalid"),
    ],
    ids=repr,
)
def test_what_looks_like_nothing_is_ignored(
    shared: Exporter, moved: Moved, event: dict[str, Any], shown: str
) -> None:
    """Without a usable event type and those fields an object is answered 204 and ignored."""
    assert taken(shared.send(event))
    moves = moved()
    name = f"exporter_events_total{{event_type={shown},result=ignored}}"
    assert moves.pop(name) == 1
    assert only("calls_total", moves) == {}
    assert moves.items() >= ANSWERED_204.items()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"[]", "array"),
        (b'[{"eventType":"disconnect","callId":"c-206555"}]', "array"),
        (b'"disconnect"', "string"),
        (b"206555", "not an object"),
        (b"null", "not an object"),
        (b"true", "not an object"),
        (b'{"eventType":"disconnect","callId":"c-206555"', "line 1, column"),
        (b'{"eventType":"disconnect",\n"to":+206555}', "line 2, column 6"),
        (b'{"to":"206555"} {"to":"206555"}', "line 1, column 17"),
        (b"{'to': '206555'}", "line 1, column 2"),
        (b"type=disconnect&call=206555", "line 1, column 1"),
        (b"\x89PNG\r\n\x1a\n206555", "line 1, column 1"),
        (b"\x00\xff\x00\xfe206555", "not JSON"),
        (b"[" * 30_000, "nested"),
        (b'{"to":' + b"[" * 20_000 + b"206555" + b"]" * 20_000 + b"}", "nested"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_not_an_object_is_malformed(
    shared: Exporter, moved: Moved, body: bytes, said: str
) -> None:
    """A body that is not a JSON object gets 400 and says what is wrong and where, without it."""
    answer = shared.send_bytes(body)
    assert answer.status == 400
    assert said in refusal(answer)
    assert b"206555" not in answer.body
    assert moved() == {
        "exporter_webhook_requests_total{code=400}": 1,
        "exporter_rejected_total{reason=malformed}": 1,
    }


TOO_LARGE = {
    "exporter_webhook_requests_total{code=413}": 1.0,
    "exporter_rejected_total{reason=too_large}": 1.0,
}


@pytest.mark.parametrize("length", [LIMIT + 1, 10**12, 10**18])
def test_a_length_above_the_limit_is_refused_unread(
    shared: Exporter, moved: Moved, length: int
) -> None:
    """A Content-Length above the limit gets 413 before any of the body, and no invitation to it."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n"
    answer = exchange(shared, head.encode() + b"Expect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b'{"error":"the event is larger than 65536 bytes"}')
    assert moved() == TOO_LARGE


def test_a_stream_above_the_limit_is_refused_while_it_comes(shared: Exporter, moved: Moved) -> None:
    """A chunked body gets 413 as soon as it is above the limit, before its end."""
    chunk = b"%x\r\n%b\r\n" % (LIMIT // 4, b" " * (LIMIT // 4))
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(shared, head.encode() + chunk * 4 + b"1\r\n", leaves=True)
    assert answer == b""  # as large as the limit: it waits for more
    answer = exchange(shared, head.encode() + chunk * 4 + b"1\r\n \r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"error":"the event is larger than 65536 bytes"}')
    moves = moved()
    assert moves.pop("exporter_rejected_total{reason=aborted}") == 1
    assert moves == TOO_LARGE


def test_a_query_above_the_limit_is_refused(exporter: StartExporter) -> None:
    """A GET whose query is larger than the limit gets 413."""
    running = exporter("--webhook.max-body-bytes=1KiB")
    before = counters(running)
    event = ended(tag="")
    room = 1024 - len(urlencode(event))
    assert taken(get(running, event | {"tag": "x" * room}))
    answer = get(running, ended(tag="x" * (room + 1)))
    assert answer.status == 413
    assert "larger than 1024 bytes" in refusal(answer)
    moves = difference(before, counters(running))
    assert moves.items() >= TOO_LARGE.items()
    assert sum(only("calls_total", moves).values()) == 1


@pytest.mark.parametrize("length", [60_000, 65_000, 65_500, 65_535, 65_536, 70_000])
def test_a_very_long_query_does_not_bring_it_down(shared: Exporter, length: int) -> None:
    """A GET of any length gets 204, 413, or 400 from the HTTP parser, never a 5xx."""
    answer = get(shared, ended(tag="x" * length))
    assert answer.status == 204 if length < 65_000 else answer.status in (204, 400, 413)
    assert b"xxxx" not in answer.body


def test_an_endless_query_is_cut_off(shared: Exporter, moved: Moved) -> None:
    """A request line beyond the limit is answered 431 or hung up on, and counted."""
    with suppress(OSError):  # whoever still sends may see the connection's end only
        assert get(shared, ended(tag="x" * 1_000_000)).status == 431
    assert moved()["exporter_rejected_total{reason=headers}"] == 1


def test_the_limit_can_be_set(exporter: StartExporter) -> None:
    """--webhook.max-body-bytes decides what is too large."""
    running = exporter("--webhook.max-body-bytes=1KiB")
    body = json.dumps(ended()).encode()
    assert running.send_bytes(body.ljust(1024)).status == 204
    assert running.send_bytes(body.ljust(1025)).status == 413


def test_the_limit_may_be_above_the_listeners_own(exporter: StartExporter) -> None:
    """A body as large as --webhook.max-body-bytes is read, however large that is."""
    running = exporter("--webhook.max-body-bytes=2MiB")
    assert running.send_bytes(json.dumps(ended()).encode().ljust(2 * 1024**2)).status == 204


def test_a_request_that_breaks_off_is_counted_as_aborted(shared: Exporter, moved: Moved) -> None:
    """A client that leaves in mid-body moves a counter of its own and nothing else."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    assert exchange(shared, head.encode() + b'{"eventType":"disconnect"', leaves=True) == b""

    def aborted() -> Moves | None:
        return moved() or None

    assert shared.process.wait_until(aborted, "a counted abort") == {
        "exporter_rejected_total{reason=aborted}": 1
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"])
def test_another_method_is_not_allowed(shared: Exporter, moved: Moved, method: str) -> None:
    """Any method but POST and GET gets 405 and is told those two."""
    body = None if method in ("HEAD", "OPTIONS") else json.dumps(ended()).encode()
    answer = shared.webhook.request(method, f"{WEBHOOK_PATH}?to=206555", body)
    assert answer.status == 405
    assert words(answer.headers["Allow"]) == {"GET", "POST"}
    assert b"206555" not in answer.body
    assert moved() == {
        "exporter_webhook_requests_total{code=405}": 1,
        "exporter_rejected_total{reason=method}": 1,
    }


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/-/healthy",
        "/webhooks",
        f"{WEBHOOK_PATH}/206555",
        f"{WEBHOOK_PATH}/ready/x",
        f"{WEBHOOK_PATH.upper()}?to=206555",
    ],
)
def test_another_path_is_not_found(shared: Exporter, moved: Moved, path: str, method: str) -> None:
    """Any path but the webhook's own gets 404 without a word about it, metrics' included."""
    body = json.dumps(ended()).encode() if method == "POST" else None
    answer = shared.webhook.request(method, path, body)
    assert answer.status == 404
    assert b"206555" not in answer.body
    assert "Location" not in answer.headers
    assert moved() == {
        "exporter_webhook_requests_total{code=404}": 1,
        "exporter_rejected_total{reason=path}": 1,
    }


@pytest.mark.parametrize("path", [f"{WEBHOOK_PATH}/", f"/{WEBHOOK_PATH}", "//webhooks///voice//"])
def test_more_slashes_are_the_same_place(shared: Exporter, moved: Moved, path: str) -> None:
    """A slash too many in the path loses no call, nor the balancer's health check."""
    assert taken(shared.send_bytes(json.dumps(ended()).encode(), path=path))
    assert moved() == COUNTED | {HANGUP: 1}
    assert shared.webhook.request("GET", f"{path}/ready/").status == 200


def test_what_may_have_been_an_event_is_told_once_a_minute(exporter: StartExporter) -> None:
    """The log says that another path was meant, or none could be read, and nothing of what came."""
    running = exporter("--webhook.path=/in/here")
    for path in ("/webhooks/voice/206555", "/in/here/ready", "/"):
        assert running.send_bytes(b"{}", path=path).status in (404, 405)
    assert running.webhook.request("GET", "/favicon.ico").status == 404
    for _ in range(2):
        with dial(running.webhook_address) as stranger:
            stranger.sendall(b"POST /in/here HTTP/1.1\r\n+1206555: \0\r\n\r\n")
            assert stranger.recv(12) == b"HTTP/1.1 400"
    assert running.stop() == 0
    [line] = [line for line in running.log_lines() if "another path" in line["msg"]]
    assert (line["level"], line["expected"], line["client"]) == ("warning", "/in/here", "127.0.0.1")
    [line] = [line for line in running.log_lines() if "no right HTTP" in line["msg"]]
    assert (line["level"], line["client"]) == ("warning", "127.0.0.1")
    assert "206555" not in running.process.output()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_balancers_health_check_is_200(shared: Exporter, moved: Moved, method: str) -> None:
    """PATH/ready is answered 200 without a body, and rejects nothing."""
    answer = shared.webhook.request(method, f"{WEBHOOK_PATH}/ready")
    assert (answer.status, answer.body) == (200, b"")
    assert moved() == {"exporter_webhook_requests_total{code=200}": 1}


def test_the_balancers_health_check_takes_no_event(shared: Exporter, moved: Moved) -> None:
    """A POST to PATH/ready gets 405 and is told what is allowed there."""
    answer = shared.webhook.request("POST", f"{WEBHOOK_PATH}/ready", json.dumps(ended()).encode())
    assert (answer.status, words(answer.headers["Allow"])) == (405, {"GET", "HEAD"})
    assert moved() == {
        "exporter_webhook_requests_total{code=405}": 1,
        "exporter_rejected_total{reason=method}": 1,
    }


def test_another_webhook_path_can_be_set(exporter: StartExporter) -> None:
    """--webhook.path moves the events' path and the health check beside it."""
    running = exporter("--webhook.path=/in/here/")
    body = json.dumps(ended()).encode()
    assert taken(running.send_bytes(body, path="/in/here/"))
    assert running.send_bytes(body).status == 404
    assert running.webhook.request("GET", "/in/here/ready").status == 200


def basic(pair: str) -> str:
    """An Authorization header's value."""
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter with three pairs of credentials: two in a file, one in the environment."""
    directory = tmp_path_factory.mktemp("guarded")
    file = directory / "credentials"
    file.write_text("# rotation\nold:open sesame\n\nnew:pass:word\n")
    # As a Kubernetes secret that was made with echo has them.
    environment = {"WEBHOOK_USERNAME": "zoë\n", "WEBHOOK_PASSWORD": "p4ss\r\n"}
    with Exporter(directory, f"--webhook.credentials-file={file}", env=environment) as running:
        yield running
        assert [line for line in running.log_lines() if line["level"] == "error"] == []


WRONG = {
    "none": {},
    "empty": {"Authorization": ""},
    "wrong password": {"Authorization": basic("old:open sesam")},
    "another's password": {"Authorization": basic("old:pass:word")},
    "unknown user": {"Authorization": basic("nobody:open sesame")},
    "no password": {"Authorization": basic("old")},
    "empty password": {"Authorization": basic("old:")},
    "not base64": {"Authorization": "Basic old:open sesame"},
    "not UTF-8": {"Authorization": "Basic /////w=="},
    "another scheme": {"Authorization": basic("old:open sesame").replace("Basic", "Bearer")},
    "scheme alone": {"Authorization": "Basic"},
}


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_no_credentials_and_wrong_ones_are_told_apart(
    guarded: Exporter, method: str, headers: dict[str, str]
) -> None:
    """None is a question and wrong ones are an attempt: one 401 each, counted apart."""
    reason, said = "unauthorized", "credentials are wrong"
    if not headers.get("Authorization"):
        reason, said = "unauthenticated", "credentials are missing"
    before = counters(guarded)
    target = f"{WEBHOOK_PATH}?{urlencode(ended())}" if method == "GET" else WEBHOOK_PATH
    body = json.dumps(ended()).encode() if method == "POST" else None
    answer = guarded.webhook.request(method, target, body, headers)
    assert answer.status == 401
    assert refusal(answer) == said
    told = {name.lower(): value for name, value in answer.headers.items()}
    del told["date"]
    assert told == {
        "www-authenticate": 'Basic realm="webhooks", charset="UTF-8"',
        "content-type": "application/json",
        "content-length": str(len(answer.body)),
    }
    assert difference(before, counters(guarded)) == {
        "exporter_webhook_requests_total{code=401}": 1,
        f"exporter_rejected_total{{reason={reason}}}": 1,
    }


@pytest.mark.parametrize("pair", ["old:open sesame", "new:pass:word", "zoë:p4ss"])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_each_of_several_credentials_is_good(guarded: Exporter, pair: str, scheme: str) -> None:
    """Every line of the file and the environment's pair may send, so that they can be rotated."""
    header = {"Authorization": basic(pair).replace("Basic", scheme)}
    assert taken(guarded.send(ended(), header))


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_event_that_asks_first_is_counted(exporter: StartExporter, method: str) -> None:
    """Bandwidth's handshake on one connection: 401 with the challenge, 204, and not a warning."""
    running = exporter(env={"WEBHOOK_USERNAME": "zoë", "WEBHOOK_PASSWORD": "p4ss"})
    before = counters(running)
    with closing(Client(running.webhook_address)) as client:
        for _ in range(20):
            event = ended()
            target = f"{WEBHOOK_PATH}?{urlencode(event)}" if method == "GET" else WEBHOOK_PATH
            body = json.dumps(event).encode() if method == "POST" else None
            assert client.request(method, target, body).status == 401
            assert taken(client.request(method, target, body, {"Authorization": basic("zoë:p4ss")}))
    moves = difference(before, counters(running))
    assert only("exporter_events_total", moves) == {
        "exporter_events_total{event_type=disconnect,result=counted}": 20
    }
    assert only("exporter_rejected_total", moves) == {
        "exporter_rejected_total{reason=unauthenticated}": 20
    }
    assert [line for line in running.log_lines() if line["level"] != "info"] == []


def test_the_health_check_needs_no_credentials(guarded: Exporter) -> None:
    """A balancer asks PATH/ready without credentials."""
    assert guarded.webhook.request("GET", f"{WEBHOOK_PATH}/ready").status == 200


def test_a_body_is_not_asked_for_without_credentials(guarded: Exporter) -> None:
    """The 401 comes before the body, not after an invitation to send it."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
    answer = exchange(guarded, head.encode() + b"Connection: close\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_requests_on_one_connection_are_each_answered(shared: Exporter, moved: Moved) -> None:
    """Refused and accepted requests follow each other on one kept connection."""
    client = Client(shared.webhook_address)
    event = json.dumps(ended()).encode()
    statuses = [
        client.request("POST", path, body).status
        for path, body in (
            (WEBHOOK_PATH, b"{"),
            ("/elsewhere", event),
            (WEBHOOK_PATH, event),
            (f"{WEBHOOK_PATH}/ready", event),
            (WEBHOOK_PATH, json.dumps(ended()).encode()),
        )
    ]
    client.close()
    assert statuses == [400, 404, 204, 405, 204]
    assert moved()[HANGUP] == 2


def exchange(exporter: Exporter, request: bytes, *, leaves: bool = False) -> bytes:
    """Send bytes on a connection of their own, read until it is closed; `leaves` closes it too."""
    host, port = exporter.webhook_address.split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        if leaves:
            connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            received += data
    return received


def only(metric: str, moves: Moves) -> Moves:
    """The moves of one metric's series."""
    return {name: value for name, value in moves.items() if name.startswith(f"{metric}{{")}


def words(header: str) -> set[str]:
    """The words of a comma-separated header."""
    return {word.strip() for word in header.split(",")}
