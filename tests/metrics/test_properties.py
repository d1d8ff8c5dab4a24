"""The running program counts all that it can of any input, and no input breaks it."""

import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS
from testkit.client import Answer
from testkit.exporter import WEBHOOK_PATH, Exporter

LIMIT = 64 * 1024
CALLS = re.compile(r"^bandwidth_voice_calls_total\{.*\} (\S+)$", re.MULTILINE)
RUNS = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

_numbers = itertools.count(1)


@dataclass
class Calls:
    """How many calls an exporter has counted."""

    exporter: Exporter
    seen: float = 0

    def moved(self) -> float:
        """How many it has counted since it was last asked; one scrape."""
        before, self.seen = self.seen, sum(map(float, CALLS.findall(self.exporter.scrape().text)))
        return self.seen - before


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter for every example of the tests that count nothing."""
    with Exporter(tmp_path_factory.mktemp("any")) as running:
        yield running


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """The calls of an exporter that gets nothing but the examples of the tests that count."""
    # Few new label values, so that what it answers to a scrape stays small.
    with Exporter(tmp_path_factory.mktemp("counted"), "--labels.max-applications=2") as running:
        yield Calls(running)


# Keys that mean something, with values that are nearly what they should be.
NEARLY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.integers(250, 720),
    st.floats(),
    st.text(),
    st.text(alphabet=st.characters(), max_size=5),  # lone surrogates included
    st.sampled_from(["inbound", "hangup", "busy", "missing", "other", "new-cause", ""]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.datetimes().map(str),
    st.dates().map(str),
    st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", fullmatch=True),
    st.uuids().map(str),
    st.from_regex(r"\+1\d{10}", fullmatch=True),
)
ANYTHING = st.recursive(
    NEARLY,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
KNOWN = st.sampled_from(sorted({*FIELD_REASONS, "from", "to", "tag", "transferTo"}))
OBJECTS = st.dictionaries(KNOWN | st.text(max_size=8), ANYTHING, max_size=7)


def fresh_call_id() -> str:
    """An id that no request has had, not even one with which an example was tried before."""
    return f"c-{os.getpid():08x}-{next(_numbers):032x}"


def sound(exporter: Exporter, answer: Answer) -> bool:
    """Whether an answer is one that any bytes may get, and the log has no traceback."""
    log = exporter.process.output()
    return answer.status in (204, 400, 413) and "Traceback" not in log and '"at":' not in log


@pytest.mark.program
@RUNS
@given(fields=OBJECTS, has_call_id=st.booleans(), is_escaped=st.booleans())
def test_any_disconnect_object_is_counted_once(
    calls: Calls, fields: dict[str, Any], *, has_call_id: bool, is_escaped: bool
) -> None:
    """A JSON object of event type disconnect with a new call id or none gets 204 and counts 1."""
    fields.pop("callId", None)
    event = fields | {"eventType": "disconnect"}
    if has_call_id:
        event["callId"] = fresh_call_id()
    # Unescaped, a lone surrogate becomes bytes that are not UTF-8.
    body = json.dumps(event, ensure_ascii=is_escaped).encode(errors="surrogatepass")
    assert len(body) <= LIMIT
    answer, moved = calls.exporter.send_bytes(body), calls.moved()
    assert (answer.status, answer.body) == (204, b"")
    assert moved == 1
    assert sound(calls.exporter, answer)


@pytest.mark.program
@RUNS
@given(call_id=ANYTHING, rest=OBJECTS)
def test_any_call_id_at_all_is_no_error(calls: Calls, call_id: Any, rest: dict[str, Any]) -> None:
    """With any value as its call id an event gets 204 and counts 1, unless it is a duplicate."""
    event = rest | {"eventType": "disconnect", "callId": call_id}
    answer, moved = calls.exporter.send_bytes(json.dumps(event).encode()), calls.moved()
    assert (answer.status, answer.body) == (204, b"")
    assert moved in ((0, 1) if isinstance(call_id, str) and call_id else (1,))


@pytest.mark.program
@RUNS
@given(fields=st.dictionaries(KNOWN, st.binary(max_size=40), max_size=12))
def test_any_disconnect_query_is_counted_once(calls: Calls, fields: dict[str, bytes]) -> None:
    """A GET of event type disconnect with a new call id gets 204 and counts 1, whatever else."""
    given_fields = fields | {"eventType": b"disconnect", "callId": fresh_call_id().encode()}
    query = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in given_fields.items())
    answer = calls.exporter.webhook.request("GET", f"{WEBHOOK_PATH}?{query}")
    moved = calls.moved()
    assert (answer.status, answer.body) == (204, b"")
    assert moved == 1
    assert sound(calls.exporter, answer)


# Bytes that are nearly an event: one with something cut out, put in or changed.
EVENT = json.dumps(
    {"eventType": "disconnect", "cause": "busy", "sipResponseCode": 486, "tag": "\ud83d\ude00 \\u"}
).encode()
MANGLED = st.builds(
    lambda start, length, put: EVENT[:start] + put + EVENT[start + length :],
    st.integers(0, len(EVENT)),
    st.integers(0, len(EVENT)),
    st.binary(max_size=8) | st.sampled_from([b"\xff", b"\\ud800", b"[" * 2000, b"1" * 5000]),
)
REPEATED = st.builds(
    lambda piece, times: piece * times,
    st.sampled_from([b"[", b"{", b'{"a":', b'"', b"\\", b"\x00", b"\xff", b"9", b"-", b" "]),
    st.integers(0, LIMIT + 10),
)


@pytest.mark.program
@RUNS
@given(body=st.binary(max_size=300) | MANGLED | REPEATED)
@example(body=b"")
@example(body=b" " * LIMIT)
@example(body=b"\x00" * LIMIT)
@example(body=b"[" * LIMIT)
@example(body=b'{"a":' * (LIMIT // 5))
@example(body=b"9" * LIMIT)
@example(body=b'{"eventType":' + b"9" * (LIMIT - 20) + b"}")
@example(body=b"\xff\xfe" * (LIMIT // 2))
@example(body=b"x" * (LIMIT + 1))
def test_any_bytes_get_204_400_or_413(shared: Exporter, body: bytes) -> None:
    """A POST of any bytes gets one of three answers and leaves no traceback."""
    answer = shared.send_bytes(body)
    assert sound(shared, answer)
    assert (answer.status == 413) == (len(body) > LIMIT)
    assert (answer.body == b"") == (answer.status == 204)


@pytest.mark.program
@RUNS
@given(query=st.binary(min_size=1, max_size=200))
def test_any_query_gets_204_or_400(shared: Exporter, query: bytes) -> None:
    """A GET with any query is answered 204 or 400 and leaves no traceback."""
    # Bytes that cannot stand in a request line are escaped, the others are sent as they are.
    target = f"{WEBHOOK_PATH}?{quote_from_bytes(query, safe='%&=+;/?!$()*,:@[]{}|^~<>')}"
    answer = shared.webhook.request("GET", target)
    assert sound(shared, answer)
    assert answer.status in (204, 400)


@pytest.mark.program
@RUNS
@given(
    headers=st.dictionaries(
        st.sampled_from(["Authorization", "Content-Type", "Content-Encoding", "Expect", "Accept"]),
        st.text(
            alphabet=st.characters(
                min_codepoint=33, max_codepoint=255, exclude_characters="\x7f\x85"
            ),
            max_size=30,
        ),
    )
)
def test_no_header_breaks_it(shared: Exporter, headers: dict[str, str]) -> None:
    """An event gets 204 with any headers other than those that frame its body."""
    event = {"eventType": "disconnect", "callId": fresh_call_id()}
    answer = shared.send(event, headers)
    assert answer.status == 204
    assert sound(shared, answer)
