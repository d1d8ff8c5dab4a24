"""The model of the traffic, which is pure: no network, no clock."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile
from urllib.parse import parse_qsl

import msgspec
import pytest

from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.curve import HOUR, PEAK, WEEK_HOURS, weekly
from bandwidth_voice_exporter.simulate.incident import Incident, parse_incident
from bandwidth_voice_exporter.simulate.payload import as_json, as_query, payload
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS, Profile
from bandwidth_voice_exporter.simulate.schedule import Planned, schedule
from bandwidth_voice_exporter.simulate.traffic import Traffic, calls
from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from bandwidth_voice_exporter.voice.event_types import DISCONNECT, TRANSFER_DISCONNECT

ENDED_MS = 1_700_000_000_123
NEVER_ANSWERED = {
    *("busy", "timeout", "cancel", "rejected", "account-limit", "node-capacity-exceeded")
}
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def some(traffic: Traffic, count: int = 3000) -> list[Call]:
    return list(islice(calls(traffic), count))


def until(traffic: Traffic, end: float) -> list[Call]:
    return list(takewhile(lambda call: call.end < end, calls(traffic)))


def with_cause(cause: str) -> Traffic:
    """Traffic in which every call ends with one cause."""
    return Traffic(
        seed=3, flat=True, profile=Profile(inbound=((cause, 1.0),), outbound=((cause, 1.0),))
    )


def test_the_same_seed_gives_the_same_calls_ids_included() -> None:
    """Two runs with one seed yield equal calls, fields and ids and all."""
    traffic = Traffic(
        seed=11, incidents=(Incident(cause="busy", after=5.0, lasts=60.0, share=0.5),)
    )
    assert some(traffic) == some(traffic)


def test_another_seed_gives_other_calls() -> None:
    """No call id of one seed comes back under another."""
    first = {call.call_id for call in some(Traffic(seed=1))}
    second = {call.call_id for call in some(Traffic(seed=2))}
    assert not first & second


def test_call_ids_are_unique() -> None:
    """No two calls, whatever their stream and leg, share an id."""
    incidents = tuple(
        Incident(cause=cause, after=0.0, lasts=900.0, share=0.3) for cause in ("busy", "error")
    )
    found = some(Traffic(seed=5, rate=600.0, transfer_share=0.5, incidents=incidents), 8000)
    assert len({call.call_id for call in found}) == len(found)


def test_calls_come_in_the_order_of_their_ends() -> None:
    """Calls of all streams are yielded by their end, none before 0."""
    incidents = (Incident(cause=HANGUP, after=0.0, lasts=600.0, share=0.5),)
    found = some(Traffic(seed=4, rate=600.0, incidents=incidents, transfer_share=0.3))
    assert found[0].end >= 0
    assert all(earlier.end <= later.end for earlier, later in pairwise(found))


def test_the_mean_of_the_weekly_curve_is_one() -> None:
    """Over a week the curve averages to 1, whatever its shape."""
    minutes = [weekly(60.0 * (minute + 0.5)) for minute in range(WEEK_HOURS * 60)]
    assert sum(minutes) / len(minutes) == pytest.approx(1.0, abs=1e-9)
    assert max(minutes) <= PEAK


def test_a_week_of_traffic_has_the_given_rate() -> None:
    """The calls of one week are the rate times its minutes, within 4 standard deviations."""
    expected = 3 * WEEK_HOURS * 60
    found = len(until(Traffic(seed=8, rate=3.0, transfer_share=0.0), WEEK_HOURS * HOUR))
    assert abs(found - expected) < 4 * expected**0.5


def test_business_hours_are_busier_than_nights_and_weekends() -> None:
    """Monday at 10 has several times the calls of Monday at 3 and of Sunday at 10."""

    def ended(day: int, hour: int) -> int:
        moment = (24 * day + hour) * HOUR
        return len(until(Traffic(seed=8, rate=20.0, starts_at=moment), HOUR))

    assert ended(0, 10) > 5 * ended(0, 3)
    assert ended(0, 10) > 2 * ended(6, 10)


def test_a_flat_rate_is_the_same_at_night() -> None:
    """Without the curve, the night has the given rate."""
    found = until(
        Traffic(seed=8, rate=60.0, flat=True, starts_at=3 * HOUR, transfer_share=0.0), HOUR
    )
    assert abs(len(found) - 3600) < 4 * 60


def test_traffic_is_in_a_steady_state_from_the_start() -> None:
    """The first seconds already have the full rate and their share of long calls."""
    found = until(Traffic(seed=9, rate=60_000.0, flat=True, transfer_share=0.0), 20.0)
    early = [call for call in found if call.end < 4.0]
    assert abs(len(early) - 4000) < 4 * 4000**0.5
    for longer_than_ms in (60_000, 600_000):
        shares = [
            sum((call.talk_ms or 0) > longer_than_ms for call in some) / len(some)
            for some in (early, found)
        ]
        assert shares[1] > 0.01
        assert shares[0] == pytest.approx(shares[1], rel=0.25)


def test_an_incident_hits_its_share_of_the_calls_that_start_in_it() -> None:
    """Of the calls that start in the window 40 % get the cause, and none outside it."""
    incident = Incident(cause="new-trouble", after=600.0, lasts=1200.0, share=0.4)
    found = until(Traffic(seed=6, rate=600.0, flat=True, incidents=(incident,)), 20_000.0 / 4)
    inside = [
        call for call in found if 600.0 <= call.start < 1800.0 and call.event_type == DISCONNECT
    ]
    struck = [call for call in found if call.cause == "new-trouble"]
    assert struck
    assert all(600.0 <= call.start < 1800.0 for call in struck)
    assert len(struck) / len(inside) == pytest.approx(0.4, abs=0.02)


def test_incidents_do_not_change_the_rate() -> None:
    """A call that an incident hits takes the place of one that it does not."""
    incidents = tuple(
        Incident(cause=cause, after=0.0, lasts=3600.0, share=0.6) for cause in ("busy", "timeout")
    )
    traffic = Traffic(seed=6, rate=60.0, flat=True, incidents=incidents, transfer_share=0.0)
    # Late enough for the longest call that started in the first 20 minutes to have ended.
    started = [call for call in until(traffic, 16_000.0) if 0.0 <= call.start < 1200.0]
    assert abs(len(started) - 1200) < 4 * 1200**0.5


def test_an_incident_hits_only_what_its_filters_let_through() -> None:
    """With a direction and an application, no other call gets the cause."""
    application = APPLICATIONS[2].application_id
    incident = Incident(
        cause="x-one",
        after=0.0,
        lasts=600.0,
        share=1.0,
        direction="inbound",
        application=application,
    )
    found = until(Traffic(seed=6, rate=600.0, incidents=(incident,)), 600.0)
    struck = [call for call in found if call.cause == "x-one"]
    assert {(call.direction, call.application) for call in struck} == {("inbound", application)}
    assert len({call.application for call in found if call.application}) == 3


def test_an_incident_leaves_the_other_calls_as_they_were() -> None:
    """Every call that an incident does not hit is also there, unchanged, without it."""
    incident = Incident(cause="x-one", after=60.0, lasts=300.0, share=0.5)
    plain = set(ids(until(Traffic(seed=6, rate=600.0), 900.0)))
    struck = until(Traffic(seed=6, rate=600.0, incidents=(incident,)), 900.0)
    spared = [call for call in struck if call.cause != "x-one"]
    assert len(spared) < len(struck)
    assert set(ids(spared)) < plain


def ids(found: list[Call]) -> Iterator[tuple[str, str, float]]:
    return ((call.call_id, call.cause, call.end) for call in found)


def test_the_ordinary_mix_has_every_documented_cause_and_no_other() -> None:
    """The default profile's causes are the documented ones, most of them hangups."""
    profile = Profile()
    assert {cause for cause, _ in (*profile.inbound, *profile.outbound)} == set(CAUSES)
    causes = Counter(call.cause for call in some(Traffic(seed=1), 5000))
    assert causes[HANGUP] > 0.7 * 5000


@pytest.mark.parametrize("cause", [*CAUSES, "never-seen-before"])
def test_calls_are_answered_or_not_as_their_cause_has_it(cause: str) -> None:
    """Calls that cannot have been answered never are; the others are at times, not always."""
    answered = {call.answered for call in some(with_cause(cause), 400)}
    assert answered == ({False} if cause in NEVER_ANSWERED else {True, False})


def test_a_timeout_rings_for_exactly_the_call_timeout() -> None:
    """Every call that timed out rang for 30 s."""
    assert {call.ring_ms for call in some(with_cause("timeout"), 200)} == {30_000}


def test_the_median_of_a_conversation_is_about_90_seconds() -> None:
    """Talk times of hangups have a median near 90 s and a long tail."""
    talks = sorted(call.talk_ms for call in some(with_cause(HANGUP), 4000) if call.talk_ms)
    assert talks[len(talks) // 2] == pytest.approx(90_000, rel=0.1)
    assert talks[-1] > 20 * talks[len(talks) // 2]


@pytest.mark.parametrize(
    ("cause", "codes"),
    [
        ("busy", {486, 600}),
        ("rejected", {603, 403, 404, 484}),
        ("timeout", {None, 408, 480}),
        ("cancel", {None}),
    ],
)
def test_rejected_outbound_calls_have_the_sip_code_of_their_cause(
    cause: str, codes: set[int | None]
) -> None:
    """Outbound calls carry a fitting status, inbound calls none."""
    found = some(with_cause(cause), 400)
    by_direction = {
        direction: {call.sip_response_code for call in found if call.direction == direction}
        for direction in ("inbound", "outbound")
    }
    assert by_direction == {"inbound": {None}, "outbound": codes}


def test_failed_calls_have_error_ids_and_hangups_have_none() -> None:
    """Nearly every call with another cause than hangup has an error id of its own."""
    failed = some(with_cause("busy"), 500)
    identified = [call.error_id for call in failed if call.error_id]
    assert 0.9 < len(identified) / len(failed) < 1
    assert len(set(identified)) == len(identified)
    assert all(re.fullmatch(UUID, error_id) for error_id in identified)
    assert {call.error_id for call in some(with_cause(HANGUP), 200)} == {None}


def test_some_messages_tags_and_parties_are_what_must_not_leak() -> None:
    """There are messages with the callee's number, tags with digits, withheld and SIP parties."""
    found = some(Traffic(seed=2, flat=True), 4000)
    assert any(call.callee in (call.error_message or "") for call in found)
    assert any(re.search(r"[A-Z]\w+ [A-Z]\w+, account \d{10}", call.tag or "") for call in found)
    assert any(call.callee.startswith("sip:") for call in found)
    assert any(call.caller == "Restricted" for call in found)
    numbers = {call.caller for call in found if call.caller.startswith("+")}
    assert len(numbers) > 2000
    assert all(re.fullmatch(r"\+1[2-9]\d\d55501\d\d", number) for number in numbers)


def test_only_outbound_calls_are_queued() -> None:
    """A share of the outbound calls was queued, at times for no time at all."""
    found = some(Traffic(seed=2, flat=True))
    queued = [call for call in found if call.queue_ms is not None]
    assert {call.direction for call in queued} == {"outbound"}
    assert any(call.queue_ms == 0 for call in queued)
    assert any(call.queue_ms for call in queued)


def test_a_transfer_leg_lies_within_the_call_that_it_belongs_to() -> None:
    """The second leg is outbound, names its parent, and starts after that was answered."""
    found = some(Traffic(seed=2, transfer_share=0.5))
    parents = {call.call_id: call for call in found if call.event_type == DISCONNECT}
    legs = [call for call in found if call.event_type == TRANSFER_DISCONNECT]
    assert {leg.direction for leg in legs} == {"outbound"}
    assert {leg.answered for leg in legs} == {True, False}
    for leg in legs[:-1]:
        assert leg.transfer is not None
        parent = parents[leg.transfer.parent_call_id]
        assert leg.ring_ms + (leg.talk_ms or 0) <= (parent.talk_ms or 0)


@pytest.mark.parametrize("cause", [*CAUSES, "never-seen-before"])
def test_a_payload_has_the_fields_that_bandwidth_documents(cause: str) -> None:
    """Ids, direction, cause and times have the documented form, for every cause."""
    for call in some(with_cause(cause), 100):
        if call.event_type != DISCONNECT:
            continue
        fields = payload(call, ENDED_MS)
        assert fields["eventType"] == "disconnect"
        assert fields["cause"] == cause
        assert fields["direction"] in {"inbound", "outbound"}
        assert re.fullmatch(UUID, str(fields["applicationId"]))
        assert re.fullmatch(rf"c-[0-9a-f]{{8}}-{UUID}", str(fields["callId"]))
        assert str(fields["callUrl"]).endswith(f"/calls/{fields['callId']}")
        assert fields["eventTime"] == fields["endTime"] == "2023-11-14T22:13:20.123Z"
        assert MOMENT.fullmatch(str(fields["startTime"]))
        assert (fields.get("answerTime") is not None) == call.answered
        times = [fields.get(name) for name in ("enqueuedTime", "startTime", "answerTime")]
        given = [str(time) for time in times if time is not None]
        assert given == sorted(given)
        assert given[-1] <= str(fields["endTime"])
        assert set(fields) <= DISCONNECT_FIELDS


DISCONNECT_FIELDS = {
    *("eventType", "eventTime", "accountId", "applicationId", "from", "to", "callId"),
    *("direction", "callUrl", "enqueuedTime", "startTime", "answerTime", "endTime", "cause"),
    *("errorMessage", "errorId", "tag", "sipCallId", "sipResponseCode"),
}


def test_a_transfer_payload_has_no_application_but_its_parent() -> None:
    """The fields of a transfer leg are those of a disconnect, less the account's, plus its own."""
    legs = (
        call
        for call in some(Traffic(seed=2, transfer_share=0.5))
        if call.event_type == TRANSFER_DISCONNECT
    )
    fields = payload(next(legs), ENDED_MS)
    assert fields["eventType"] == "transferDisconnect"
    assert not {"accountId", "applicationId"} & set(fields)
    assert {"parentCallId", "transferCallerId", "transferTo"} <= set(fields)


def test_reported_times_keep_the_lengths_to_the_millisecond() -> None:
    """The times are apart by the call's own lengths, counted back from its end."""
    call = Call(
        event_type=DISCONNECT,
        call_id="c-1",
        account_id="5",
        application="a",
        direction="outbound",
        cause=HANGUP,
        caller="Restricted",
        callee="+12025550123",
        end=1.0,
        ring_ms=2_001,
        talk_ms=90_002,
        queue_ms=500,
    )
    fields = payload(call, ENDED_MS)
    assert fields["answerTime"] == "2023-11-14T22:11:50.121Z"
    assert fields["startTime"] == "2023-11-14T22:11:48.120Z"
    assert fields["enqueuedTime"] == "2023-11-14T22:11:47.620Z"


def test_optional_fields_without_a_value_are_absent_or_null() -> None:
    """Both forms of an empty optional field occur."""
    found = [payload(call, ENDED_MS) for call in some(with_cause("timeout"), 50)]
    assert {"absent" if "answerTime" not in fields else "null" for fields in found} == {
        "absent",
        "null",
    }


def test_a_query_carries_every_field_of_the_body() -> None:
    """The query string decodes to the JSON body's fields, nulls as empty values."""
    for call in some(Traffic(seed=7, transfer_share=0.3), 200):
        fields = payload(call, ENDED_MS)
        decoded = dict(
            parse_qsl(as_query(fields).decode("ascii"), keep_blank_values=True, strict_parsing=True)
        )
        body = msgspec.json.decode(as_json(fields))
        assert decoded == {
            name: "" if value is None else str(value) for name, value in body.items()
        }


def test_a_duplicate_is_the_same_report_a_little_later() -> None:
    """Second deliveries carry the first's call and times, 1 to 20 s later, in order."""
    planned = list(schedule(some(Traffic(seed=7)), 7, duplicate_share=0.2, get_share=0.0))
    assert [delivery.at for delivery in planned] == sorted(delivery.at for delivery in planned)
    first: dict[str, Planned] = {}
    for now_ms, delivery in enumerate(planned):
        call_id = delivery.report.call.call_id
        if not delivery.duplicate:
            assert call_id not in first
            first[call_id] = delivery
            delivery.report.payload(now_ms)
            continue
        assert 1.0 <= delivery.at - first[call_id].at <= 20.0
        assert delivery.report.payload(now_ms) == first[call_id].report.payload(now_ms + 1)
    assert 0.15 < (len(planned) - len(first)) / len(first) < 0.25


def test_a_share_of_the_deliveries_is_by_get() -> None:
    """The share of GET is the given one."""
    planned = list(schedule(some(Traffic(seed=7)), 7, duplicate_share=0.0, get_share=0.3))
    methods = Counter(delivery.method for delivery in planned)
    assert methods["GET"] / len(planned) == pytest.approx(0.3, abs=0.04)


def test_an_incident_is_read_from_its_pairs() -> None:
    """All keys of an incident are understood."""
    text = "cause=callback-error,after=60s,for=5m,share=0.4,direction=inbound,application=a-1"
    assert parse_incident(text) == Incident(
        cause="callback-error",
        after=60.0,
        lasts=300.0,
        share=0.4,
        direction="inbound",
        application="a-1",
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("after=1s,for=1s,share=1", "cause"),
        ("cause=busy,for=1s,share=1", "after"),
        ("cause=,after=1s,for=1s,share=1", "cause"),
        ("cause=busy,after=soon,for=1s,share=1", "after"),
        ("cause=busy,after=1s,for=-1s,share=1", "for"),
        ("cause=busy,after=1s,for=1s,share=1.5", "share"),
        ("cause=busy,after=1s,for=1s,share=nan", "share"),
        ("cause=busy,after=1s,for=1s,share=half", "share"),
        ("cause=busy,after=1s,for=1s,share=1,direction=up", "direction"),
        ("cause=busy,after=1s,for=1s,share=1,share=1", "share"),
        ("cause=busy,after=1s,for=1s,share=1,colour=red", "colour"),
        ("cause", "cause"),
    ],
)
def test_a_bad_incident_is_refused_by_the_name_of_its_key(text: str, key: str) -> None:
    """The message starts with the key that is wrong, missing, unknown or given twice."""
    with pytest.raises(ValueError, match=f"^'?{key}\\b"):
        parse_incident(text)
