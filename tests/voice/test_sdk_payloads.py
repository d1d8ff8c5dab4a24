"""The payloads of Bandwidth's own models, and recorded ones, counted by the real program."""

import base64
import itertools
import json
import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from bandwidth.models.disconnect_callback import DisconnectCallback  # type: ignore[import-untyped]
from bandwidth.models.transfer_disconnect_callback import (  # type: ignore[import-untyped]
    TransferDisconnectCallback,
)

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.causes import fault_domain
from testkit.client import Answer
from testkit.exporter import WEBHOOK_PATH, Exporter

PAYLOADS = Path(__file__).parents[1] / "payloads"
GOOD = sorted(PAYLOADS.glob("*.good.json"))
BAD = sorted(PAYLOADS.glob("*.bad.json"))
LIMIT = 64 * 1024
# Every sample of a call but those that the clock decides, and of the exporter's own the two that
# an event moves.
SAMPLE = re.compile(
    r"^bandwidth_voice_(?!exporter_(?!events|field_errors|rejected)|webhook_delay|last_event)"
    r"(\w+)\{(.*)\} (\S+)$",
    re.MULTILINE,
)
APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"

Model = Any  # one of the two, which come without types
Moves = Counter[str]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter with room for every error id."""
    room = ("--errors.max-ids=100000", "--errors.max-new-per-minute=100000")
    with Exporter(tmp_path_factory.mktemp("payloads"), *room) as running:
        yield running
        assert [line for line in running.log_lines() if line["level"] == "error"] == []


def totals(exporter: Exporter) -> Moves:
    """Samples by a name such as `calls_total{cause=busy,...}`; seconds in whole microseconds."""
    found: Moves = Counter()
    for name, labels, value in SAMPLE.findall(exporter.scrape().text):
        shown = ",".join(sorted(labels.replace('"', "").split(",")))
        is_seconds = name.endswith(("_seconds_sum", "_seconds_total"))
        found[f"{name}{{{shown}}}"] = round(float(value) * (1_000_000 if is_seconds else 1))
    return found


def moved(exporter: Exporter, before: Moves) -> Moves:
    """Return the growth of each sample since before."""
    return totals(exporter) - before


def sample(name: str, **labels: object) -> str:
    """A sample's name as in `totals`."""
    return f"{name}{{{','.join(f'{label}={labels[label]}' for label in sorted(labels))}}}"


def expected(expect: dict[str, Any]) -> Moves:
    """Return the growth that one counted event with these labels and durations (seconds) makes."""
    moves: Moves = Counter()
    side = {"direction": expect["direction"]}
    domain = side | {"fault_domain": expect["fault_domain"]}
    cause = domain | {"cause": expect["cause"], "answered": str(expect["answered"]).lower()}
    moves[sample("exporter_events_total", event_type=expect["event_type"], result="counted")] += 1
    for error in expect["field_errors"]:
        field, reason = error.split("/")
        moves[sample("exporter_field_errors_total", field=field, reason=reason)] += 1
    if expect["event_type"] == "transferDisconnect":
        moves[sample("transfer_legs_total", **cause)] += 1
        return moves
    application = side | {"application": expect["application"]}
    moves[sample("calls_total", **cause, application=expect["application"])] += 1
    if expect["talk"] is not None:
        moves[sample("call_talk_seconds_total", **application)] += micro(expect["talk"])
        moves += observed(catalog.DURATION, expect["talk"], domain)
    if expect["short"]:
        moves[sample("short_calls_total", **application)] += 1
    moves += observed(catalog.SETUP, expect["setup"], side)
    moves += observed(catalog.UNANSWERED, expect["unanswered"], domain)
    moves += observed(catalog.QUEUE, expect["queue"], side)
    if expect["sip_code"]:
        moves[sample("sip_rejections_total", code=expect["sip_code"])] += 1
    if expect["error_id"]:
        error_labels = side | {"cause": expect["cause"], "error_id": expect["error_id"]}
        moves[sample("call_errors_total", **error_labels)] += 1
    return moves


def observed(metric: catalog.Metric, seconds: float | None, labels: dict[str, str]) -> Moves:
    """Return the growth that one value makes in a histogram, none without a value."""
    moves: Moves = Counter()
    if seconds is None:
        return moves
    name = metric.name.removeprefix("bandwidth_voice_")
    moves[sample(f"{name}_count", **labels)] += 1
    moves[sample(f"{name}_sum", **labels)] += micro(seconds)
    for bound in (*map(float, metric.buckets), math.inf):
        if seconds <= bound:
            le = "+Inf" if bound == math.inf else bound
            moves[sample(f"{name}_bucket", **labels, le=le)] += 1
    return +moves  # without the sum of nothing


def micro(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1_000_000)


def fresh(event: dict[str, Any]) -> dict[str, Any]:
    """The event as if it were reported now, under an id of its own."""
    changed = {}
    if "callId" in event:
        changed["callId"] = f"{event['callId'][:-12]}{os.getpid() % 2**20:05x}{next(_numbers):07x}"
    if "eventTime" in event:
        changed["eventTime"] = datetime.now(UTC).isoformat()
    return event | changed


def get(exporter: Exporter, event: dict[str, Any]) -> Answer:
    """Deliver an event as a GET: a null is an empty value."""
    query = urlencode({name: "" if value is None else value for name, value in event.items()})
    return exporter.webhook.request("GET", f"{WEBHOOK_PATH}?{query}")


def test_there_are_payloads() -> None:
    """The folder has good and bad payloads, and nothing that is neither."""
    assert len(GOOD) > 20
    assert len(BAD) > 10
    assert sorted(PAYLOADS.iterdir()) == sorted(GOOD + BAD)


@pytest.mark.program
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_payload_is_counted_as_it_says(shared: Exporter, path: Path, method: str) -> None:
    """A good payload moves exactly the labels and durations that are stored beside it."""
    stored = json.loads(path.read_text())
    event = fresh(stored["request"])
    before = totals(shared)
    answer = shared.send(event) if method == "POST" else get(shared, event)
    assert (answer.status, answer.body) == (204, b"")
    assert moved(shared, before) == expected(stored["expect"])


@pytest.mark.program
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_payload_is_refused_as_it_says(shared: Exporter, path: Path) -> None:
    """A bad payload gets the status, the reason and the sentence that are stored beside it."""
    stored = json.loads(path.read_text())
    request, expect = stored["request"], stored["expect"]
    text = request.get("text", "") * request.get("times", 1)
    body = base64.b64decode(request["base64"]) if "base64" in request else text.encode()
    before = totals(shared)
    answer = shared.send_bytes(body.ljust(request.get("padded_to", 0)))
    assert answer.status == expect["status"]
    assert answer.json == {"error": expect["error"]}
    assert moved(shared, before) == {sample("exporter_rejected_total", reason=expect["reason"]): 1}


def disconnects() -> Iterator[tuple[Model, dict[str, Any]]]:
    """A call for every combination of optional fields, with what it must move."""
    rng = random.Random(7)
    for number, combination in enumerate(
        itertools.product(
            ("inbound", "outbound"),
            ("answered", "null", "unset"),
            ("queued", "null", "unset"),
            (("hangup", None), ("busy", "error id"), ("error", "nulls"), ("callback-error", None)),
            (True, False),
            (True, False),
            (True, False),
        )
    ):
        direction, answered, queued, (cause, failure), sip_call_id, sip_code, application = (
            combination
        )
        start = datetime.now(UTC) - timedelta(hours=3, milliseconds=number)
        setup = timedelta(milliseconds=rng.randrange(90_000))
        talk = timedelta(microseconds=rng.randrange(20, 9_000_000_000))
        queue = timedelta(milliseconds=rng.randrange(400_000))
        is_answered = answered == "answered"
        end = start + (setup + talk if is_answered else setup)
        model = DisconnectCallback(
            eventType="disconnect",
            eventTime=end,
            accountId="55555555",
            var_from=rng.choice(["+12065550142", "Anonymous"]),
            to=rng.choice(["+13035550117", "sip:+13035550117@pbx.example.com"]),
            callId=f"c-{rng.getrandbits(32):08x}-{uuid(rng)}",
            direction=direction,
            callUrl="https://voice.bandwidth.com/api/v2/accounts/55555555/calls/c-1",
            startTime=start,
            endTime=end,
            cause=cause,
        )
        if application:
            model.application_id = APPLICATION
        if answered != "unset":
            model.answer_time = start + setup if is_answered else None
        if queued != "unset":
            model.enqueued_time = start - queue if queued == "queued" else None
        if failure:
            model.error_id = uuid(rng) if failure == "error id" else None
            model.error_message = "Callee is busy" if failure == "error id" else None
        if rng.random() < 0.5:
            model.tag = rng.choice([None, "Dana Whitfield, account 4155550100"])
        if sip_call_id:
            model.sip_call_id = f"{rng.getrandbits(64):016x}@192.0.2.10"
        if sip_code:
            model.sip_response_code = rng.choice([486, 603, 480, 503])
        yield (
            model,
            {
                "event_type": "disconnect",
                "application": APPLICATION if application else "missing",
                "direction": direction,
                "cause": cause,
                "fault_domain": fault_domain(cause),
                "answered": is_answered,
                "setup": setup.total_seconds() if is_answered else None,
                "talk": talk.total_seconds() if is_answered else None,
                "short": is_answered and talk <= timedelta(seconds=6),
                "unanswered": None if is_answered else setup.total_seconds(),
                "queue": queue.total_seconds() if queued == "queued" else None,
                "sip_code": str(model.sip_response_code) if sip_code else None,
                "error_id": None if cause == "hangup" else model.error_id or "none",
                "field_errors": [],
            },
        )


def transfer_disconnects() -> Iterator[tuple[Model, dict[str, Any]]]:
    """A transfer's second leg for every combination of optional fields, with what it must move."""
    rng = random.Random(8)
    for answered, queued, cause, application, tag in itertools.product(
        ("answered", "null", "unset"),
        ("queued", "null", "unset"),
        ("hangup", "busy", "node-capacity-exceeded"),
        (True, False),
        ("a tag", None),
    ):
        end = datetime.now(UTC)
        model = TransferDisconnectCallback(
            eventType="transferDisconnect",
            eventTime=end,
            var_from="+12065550142",
            to="+13035550117",
            callId=f"c-{rng.getrandbits(32):08x}-{uuid(rng)}",
            parentCallId=f"c-{rng.getrandbits(32):08x}-{uuid(rng)}",
            direction="outbound",
            callUrl="https://voice.bandwidth.com/api/v2/accounts/55555555/calls/c-1",
            startTime=end - timedelta(seconds=30),
            endTime=end,
            transferCallerId="+12065550142",
            transferTo="+13035550117",
            cause=cause,
            tag=tag,
        )
        if application:
            model.account_id, model.application_id = "55555555", APPLICATION
        if answered != "unset":
            model.answer_time = end - timedelta(seconds=20) if answered == "answered" else None
        if queued != "unset":
            model.enqueued_time = end - timedelta(seconds=40) if queued == "queued" else None
        if cause != "hangup":
            model.error_id, model.error_message = uuid(rng), "Callee is busy"
        yield (
            model,
            {
                "event_type": "transferDisconnect",
                "direction": "outbound",
                "cause": cause,
                "fault_domain": fault_domain(cause),
                "answered": answered == "answered",
                "field_errors": [],
            },
        )


def uuid(rng: random.Random) -> str:
    """A UUID from a seeded source."""
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def own_json(model: Model) -> bytes:
    """Return `to_json()` with the times, on which it fails, added as Bandwidth writes them."""
    fields = {name: getattr(model, name) for name in model.model_fields_set}
    times = {name: value for name, value in fields.items() if isinstance(value, datetime)}
    timeless = {name: value for name, value in fields.items() if name not in times}
    written = json.loads(type(model).model_construct(**timeless).to_json())
    for name, moment in times.items():
        alias = str(type(model).model_fields[name].alias)
        written[alias] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps(written).encode()


WAYS: dict[str, Callable[[Model], bytes]] = {
    "to_json": own_json,
    "to_dict by str": lambda model: json.dumps(model.to_dict(), default=str).encode(),
    "to_dict by msgspec": lambda model: msgspec.json.encode(model.to_dict()),
    "model_dump_json": lambda model: model.model_dump_json(by_alias=True).encode(),
    "model_dump_json without null": lambda model: model.model_dump_json(
        by_alias=True, exclude_none=True
    ).encode(),
}


@pytest.mark.program
@pytest.mark.parametrize("number", range(len(WAYS)), ids=list(WAYS))
@pytest.mark.parametrize("models", [disconnects, transfer_disconnects])
def test_what_bandwidths_models_write_is_counted(
    shared: Exporter, models: Callable[[], Iterator[tuple[Model, dict[str, Any]]]], number: int
) -> None:
    """Every combination of optional fields is counted to the dot; each way to write has a share."""
    write = list(WAYS.values())[number]
    before, must, sent = totals(shared), Counter[str](), 0
    for model, expect in itertools.islice(models(), number, None, len(WAYS)):
        assert shared.send_bytes(write(model)).status == 204
        must += expected(expect)
        sent += 1
    assert sent > 20
    assert moved(shared, before) == must


def test_the_models_alias_of_every_field_is_sent() -> None:
    """The combinations have a value for each field that the models know, none left out."""
    for models in (disconnects, transfer_disconnects):
        written: set[str] = set()
        names: set[str | None] = set()
        for model, _ in models():
            written |= {name for name, value in model.to_dict().items() if value is not None}
            names = {
                field.alias or name
                for name, field in type(model).model_fields.items()
                if name != "additional_properties"
            }
        assert written == names
