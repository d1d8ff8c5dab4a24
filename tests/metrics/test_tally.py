"""The fold: exact, bounded, the same whenever it is done."""

import copy
from collections import Counter
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import Metric
from bandwidth_voice_exporter.metrics.series import Count, Exemplar, Histogram
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS, fault_domain
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ended import ended

CONFIGURED = "93de2206-9669-4e07-948d-329f4b722ee2"
NEW = [f"550e8400-e29b-41d4-a716-44665544000{number}" for number in range(4)]
ERROR_ID = "0f3a2b1c-0000-4000-8000-00000000cafe"
CALL_ID = "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85"
BORN = 1_655_504_340_000_000  # the first microsecond of a minute
HOLD = 65 * SECOND
MINUTE = 60 * SECOND

CALL = ended(
    received=BORN,
    call_id=CALL_ID,
    application=CONFIGURED,
)

Key = tuple[str, ...]


def call(**changes: Any) -> CallEnded:
    """An answered inbound call that ended normally, with other fields."""
    return msgspec.structs.replace(CALL, **changes)


def empty(**limits: Any) -> Tally:
    """A tally of nothing, with one configured application."""
    return Tally(Limits(**{"applications": (CONFIGURED,), **limits}), BORN)


def folded(*calls: CallEnded, **limits: Any) -> Tally:
    """A tally of calls."""
    tally = empty(**limits)
    for one in calls:
        tally.fold(one)
    return tally


def counts(tally: Tally, metric: Metric) -> dict[Key, int]:
    """The values of a metric that are not 0."""
    return {key: count.value for key, count in tally.counts[metric.name].items() if count.value}


def value(tally: Tally, metric: Metric, *key: str) -> int | None:
    """The value of one series; None where there is none."""
    count = tally.counts[metric.name].get(key)
    return None if count is None else count.value


def is_newborn(tally: Tally, metric: Metric, *key: str) -> bool:
    """Whether a label set is held at 0."""
    return (metric.name, key) in tally.newborn


SPAN = st.none() | st.integers(0, 30 * 86_400 * SECOND) | st.sampled_from([0, SECOND, 6 * SECOND])
CALLS = st.lists(
    st.builds(
        CallEnded,
        received=st.integers(BORN, BORN + 10 * MINUTE),
        event_type=st.sampled_from(["disconnect", "disconnect", "transferDisconnect"]),
        call_id=st.none() | st.just(CALL_ID) | st.just("no-such-form"),
        parent_call_id=st.none(),
        sip_call_id=st.none(),
        application=st.sampled_from([CONFIGURED, "missing", "invalid", *NEW]),
        direction=st.sampled_from(["inbound", "outbound", "missing", "invalid"]),
        cause=st.sampled_from([*CAUSES[:3], "missing", "invalid", "glare", "a", "b", "c"]),
        answered=st.booleans(),
        error_id=st.none() | st.sampled_from([ERROR_ID, "E-1", "E-2", "E-3", "E-4", "E-5"]),
        error_message=st.none(),
        sip_response_code=st.none() | st.integers(300, 699),
        start_time=st.none(),
        end_time=st.none(),
        delay=SPAN,
        queue=SPAN,
        setup=SPAN,
        talk=SPAN,
        unanswered=SPAN,
    ),
    max_size=25,
)
# A call has many fields: to explain a failure field by field takes minutes and tells little.
BRIEFLY = settings(phases=[phase for phase in Phase if phase is not Phase.explain])
TIGHT = Limits(applications=(CONFIGURED,), max_applications=2, max_new_causes=2)


def tight(calls: list[CallEnded]) -> Tally:
    """A tally of calls with caps that are soon reached."""
    tally = Tally(TIGHT, BORN)
    for one in calls:
        tally.fold(one)
    return tally


def bounded(values: list[str], known: set[str], cap: int) -> list[str]:
    """The values, those under other that come after as many new ones as the cap allows."""
    let_in = [*dict.fromkeys(text for text in values if text not in known)][:cap]
    return [text if text in known or text in let_in else "other" for text in values]


def labelled(calls: list[CallEnded]) -> list[CallEnded]:
    """The calls with the labels that the tight caps leave them."""
    causes = bounded([one.cause for one in calls], {*CAUSES, "missing", "invalid"}, 2)
    named = [msgspec.structs.replace(one, cause=to) for one, to in zip(calls, causes, strict=True)]
    legs = [one for one in named if one.event_type == "transferDisconnect"]
    ended = [one for one in named if one.event_type == "disconnect"]
    known = {CONFIGURED, "missing", "invalid"}
    applications = bounded([one.application for one in ended], known, 2)
    return legs + [
        msgspec.structs.replace(one, application=to)
        for one, to in zip(ended, applications, strict=True)
    ]


def word(answered: bool) -> str:  # noqa: FBT001  # the label of a truth
    """The label value of answered."""
    return "true" if answered else "false"


@BRIEFLY
@given(CALLS)
def test_every_call_once(calls: list[CallEnded]) -> None:
    """calls_total counts each disconnect once under its labels, transfer_legs each other leg."""
    tally = tight(calls)
    named = labelled(calls)
    ended = [one for one in named if one.event_type == "disconnect"]
    legs = [one for one in named if one.event_type != "disconnect"]
    assert counts(tally, catalog.CALLS) == Counter(
        (one.application, one.direction, one.cause, fault_domain(one.cause), word(one.answered))
        for one in ended
    )
    assert sum(counts(tally, catalog.CALLS).values()) == len(ended)
    assert counts(tally, catalog.TRANSFER_LEGS) == Counter(
        (one.direction, one.cause, fault_domain(one.cause), word(one.answered)) for one in legs
    )


@BRIEFLY
@given(CALLS)
def test_talk_is_exact(calls: list[CallEnded]) -> None:
    """Talk time adds up to the microsecond, and short calls are those of at most 6 seconds."""
    tally = tight(calls)
    talk: Counter[Key] = Counter()
    short: Counter[Key] = Counter()
    for one in labelled(calls):
        if one.event_type == "disconnect" and one.talk is not None:
            talk[one.application, one.direction] += one.talk
            short[one.application, one.direction] += one.talk <= 6_000_000
    assert counts(tally, catalog.TALK) == +talk
    assert counts(tally, catalog.SHORT_CALLS) == +short


HISTOGRAMS = {  # the field whose values are counted, and the labels they are counted under
    catalog.DURATION.name: ("talk", ("direction", "fault_domain")),
    catalog.SETUP.name: ("setup", ("direction",)),
    catalog.UNANSWERED.name: ("unanswered", ("direction", "fault_domain")),
    catalog.QUEUE.name: ("queue", ("direction",)),
    catalog.DELAY.name: ("delay", ()),
}


@BRIEFLY
@given(CALLS)
def test_histograms_are_exact(calls: list[CallEnded]) -> None:
    """A histogram has every usable value in the first bucket that holds it, and their exact sum."""
    tally = tight(calls)
    named = labelled(calls)
    for metric in catalog.CALL_METRICS:
        if metric.kind != "histogram":
            continue
        field, by = HISTOGRAMS[metric.name]
        values: dict[Key, list[int]] = {}
        for one in named:
            span = getattr(one, field)
            if span is not None and (one.event_type == "disconnect" or field == "delay"):
                found = {"direction": one.direction, "fault_domain": fault_domain(one.cause)}
                values.setdefault(tuple(found[label] for label in by), []).append(span)
        for key, histogram in tally.histograms[metric.name].items():
            spans = values.pop(key, [])
            assert sum(histogram.counts) == len(spans)
            assert histogram.sum == sum(spans)
            for number, bound in enumerate(metric.buckets, start=1):
                below = sum(span <= bound * 1_000_000 for span in spans)
                assert sum(histogram.counts[:number]) == below
        assert not values


@BRIEFLY
@given(CALLS)
def test_errors_add_up(calls: list[CallEnded]) -> None:
    """Every failed call is counted once by error id, whichever ids have a series."""
    tally = tight(calls)
    failed: Counter[Key] = Counter()
    for one in labelled(calls):
        if one.event_type == "disconnect" and (one.cause != "hangup" or one.error_id):
            failed[one.direction, one.cause] += 1
    found: Counter[Key] = Counter()
    for key, number in counts(tally, catalog.CALL_ERRORS).items():
        found[key[:2]] += number
    assert found == failed


@BRIEFLY
@given(CALLS)
def test_sip_rejections_add_up(calls: list[CallEnded]) -> None:
    """Every disconnect with a SIP response code is a rejection."""
    found = counts(tight(calls), catalog.SIP_REJECTIONS)
    coded = [one for one in calls if one.event_type == "disconnect" and one.sip_response_code]
    assert sum(found.values()) == len(coded)


@BRIEFLY
@given(CALLS)
def test_folding_is_repeatable(calls: list[CallEnded]) -> None:
    """The same calls folded again give the same totals, births included."""
    once, again = tight(calls), tight(calls)
    assert once.counts == again.counts
    assert once.histograms == again.histograms
    assert once.newborn == again.newborn


@BRIEFLY
@given(CALLS, st.integers(0, 25))
def test_folding_goes_on(calls: list[CallEnded], at: int) -> None:
    """A tally that goes on from another's totals ends where that one would have ended."""
    whole = tight(calls)
    continued = Tally(TIGHT, BORN + MINUTE, copy.deepcopy(tight(calls[:at]).totals()))
    for one in calls[at:]:
        continued.fold(one)
    assert continued.totals() == whole.totals()


@BRIEFLY
@given(CALLS)
def test_series_are_bounded(calls: list[CallEnded]) -> None:
    """No label has more values than its cap allows."""
    tally = tight(calls)
    keys = tally.counts[catalog.CALLS.name]
    assert len({key[0] for key in keys}) <= 1 + 2 + len(("missing", "invalid", "other"))
    assert len({key[2] for key in keys} - {*CAUSES}) <= 2 + len(("missing", "invalid", "other"))


def test_known_from_the_start() -> None:
    """Every label set of what is known exists at 0 from the start."""
    tally = empty()
    answers = ("true", "false")
    directions = ("inbound", "outbound")
    for direction, cause, answered in product(directions, CAUSES, answers):
        key = (CONFIGURED, direction, cause, fault_domain(cause), answered)
        assert value(tally, catalog.CALLS, *key) == 0
    for cause, answered in product(CAUSES, answers):
        leg = ("outbound", cause, fault_domain(cause), answered)
        assert value(tally, catalog.TRANSFER_LEGS, *leg) == 0
    for direction in directions:
        assert value(tally, catalog.TALK, CONFIGURED, direction) == 0
        assert value(tally, catalog.SHORT_CALLS, CONFIGURED, direction) == 0
        assert value(tally, catalog.CALL_ERRORS, direction, "busy", "none") == 0
        assert value(tally, catalog.CALL_ERRORS, direction, "busy", "other") == 0
        for domain in FAULT_DOMAINS:
            assert (direction, domain) in tally.histograms[catalog.DURATION.name]
            assert (direction, domain) in tally.histograms[catalog.UNANSWERED.name]
        assert (direction,) in tally.histograms[catalog.SETUP.name]
        assert (direction,) in tally.histograms[catalog.QUEUE.name]
    assert value(tally, catalog.SIP_REJECTIONS, "486") == 0
    assert () in tally.histograms[catalog.DELAY.name]


@pytest.mark.parametrize("shown", ["missing", "invalid"])
def test_missing_and_invalid_are_born_when_they_come(shown: str) -> None:
    """No series is there for what may never come."""
    assert not any(shown in key for series in empty().counts.values() for key in series)
    tally = folded(call(application=shown, direction=shown, cause=shown, answered=False))
    key = (shown, shown, shown, "unclassified", "false")
    assert counts(tally, catalog.CALLS) == {key: 1}
    assert is_newborn(tally, catalog.CALLS, *key)


def test_missing_takes_no_place() -> None:
    """Missing and invalid count under their own names whatever the caps are."""
    calls = [call(application=shown, cause=shown) for shown in ("missing", "invalid")]
    tally = empty(max_applications=0, max_new_causes=0)
    assert [tally.fold(one) for one in calls] == [(), ()]


def test_cap_on_causes() -> None:
    """A new cause beyond the cap is other and an overflow; one let in before stays."""
    tally = empty(max_new_causes=1)
    overflows = [tally.fold(call(cause=cause)) for cause in ("a", "b", "a", "busy", "b")]
    assert overflows == [(), ("cause",), (), (), ("cause",)]
    assert {key[2]: number for key, number in counts(tally, catalog.CALLS).items()} == {
        "a": 2,
        "other": 2,
        "busy": 1,
    }


def test_cap_on_causes_of_transfers() -> None:
    """The legs of transfers and the calls share one cap on causes."""
    tally = empty(max_new_causes=1)
    assert tally.fold(call(cause="a", event_type="transferDisconnect")) == ()
    assert tally.fold(call(cause="b")) == ("cause",)


def test_cap_on_applications() -> None:
    """A new application beyond the cap is other and an overflow; a configured one never is."""
    tally = empty(max_applications=1)
    order = (NEW[0], NEW[1], NEW[0], CONFIGURED)
    overflows = [tally.fold(call(application=application)) for application in order]
    assert overflows == [(), ("application",), (), ()]
    assert {key[0]: number for key, number in counts(tally, catalog.CALLS).items()} == {
        NEW[0]: 2,
        "other": 1,
        CONFIGURED: 1,
    }


def test_cap_on_codes() -> None:
    """SIP response codes that no standard has are capped too."""
    tally = empty()
    overflows = [tally.fold(call(sip_response_code=code)) for code in range(300, 700)]
    assert ("code",) in overflows
    assert tally.fold(call(sip_response_code=486)) == ()
    assert len(tally.counts[catalog.SIP_REJECTIONS.name]) < 100


def test_new_application_is_born_whole() -> None:
    """With its first call every label set of a new application exists, held from then on."""
    at = BORN + 10 * MINUTE
    tally = folded(call(application=NEW[0], received=at))
    for direction, cause in product(("inbound", "outbound"), CAUSES):
        key = (NEW[0], direction, cause, fault_domain(cause), "false")
        assert value(tally, catalog.CALLS, *key) == 0
        assert tally.newborn[catalog.CALLS.name, key] == at
    assert value(tally, catalog.TALK, NEW[0], "outbound") == 0


def test_last_event() -> None:
    """The time of the last call is kept by application, that of transfers' legs is not."""
    other = call(application=NEW[0], received=BORN + 1)
    leg = call(event_type="transferDisconnect", received=BORN + 9)
    tally = folded(call(received=BORN + 5), other, leg)
    assert counts(tally, catalog.LAST_EVENT) == {(CONFIGURED,): BORN + 5, (NEW[0],): BORN + 1}


def test_hold_passes() -> None:
    """A series that is born at the start is held for the hold and not a microsecond longer."""
    tally = empty()
    tally.settle(BORN + HOLD - 1)
    assert is_newborn(tally, catalog.DELAY)
    tally.settle(BORN + HOLD)
    assert not tally.newborn


def test_hold_counts_from_birth() -> None:
    """A label set is held from the receipt of its first call, not of its later ones."""
    tally = empty()
    key = (CONFIGURED, "inbound", "glare", "unclassified", "true")
    for after in (0, 20, 64):
        tally.fold(call(cause="glare", received=BORN + MINUTE + after * SECOND))
    tally.settle(BORN + MINUTE + HOLD - 1)
    assert is_newborn(tally, catalog.CALLS, *key)
    tally.settle(BORN + MINUTE + HOLD)
    assert not is_newborn(tally, catalog.CALLS, *key)
    assert value(tally, catalog.CALLS, *key) == 3


def test_known_label_sets_are_not_born_again() -> None:
    """A call under a label set that was known from the start does not hold it."""
    tally = empty()
    tally.settle(BORN + HOLD)
    tally.fold(call(received=BORN + HOLD))
    assert not tally.newborn


def test_clock_set_back() -> None:
    """A clock set back by less than a hold changes nothing; by more, only what is new is held."""
    tally = empty()
    tally.settle(BORN - 1)
    assert tally.newborn
    later = BORN - tally.limits.newborn_hold
    tally.settle(later)
    assert not tally.newborn
    tally.fold(call(cause="glare", received=later))
    tally.settle(later)
    key = (CONFIGURED, "inbound", "glare", "unclassified", "true")
    assert is_newborn(tally, catalog.CALLS, *key)


def test_hold_of_zero() -> None:
    """Without a hold nothing is held."""
    tally = empty(newborn_hold=0)
    tally.settle(BORN)
    assert not tally.newborn


def failed(number: int, **changes: Any) -> CallEnded:
    """A busy call with an error id of its own."""
    return call(cause="busy", error_id=f"E-{number}", **changes)


def test_error_id_has_its_series() -> None:
    """A failed call counts under its error id, born with it; the same id again adds up."""
    tally = folded(failed(1), failed(1))
    assert counts(tally, catalog.CALL_ERRORS) == {("inbound", "busy", "E-1"): 2}
    assert is_newborn(tally, catalog.CALL_ERRORS, "inbound", "busy", "E-1")


def test_failure_without_an_error_id() -> None:
    """A failed call without an error id counts under none."""
    tally = folded(call(cause="busy"), call(cause="missing"))
    assert counts(tally, catalog.CALL_ERRORS) == {
        ("inbound", "busy", "none"): 1,
        ("inbound", "missing", "none"): 1,
    }


def test_normal_end_is_no_error() -> None:
    """A hangup counts among the errors only where it has an error id."""
    assert counts(folded(call()), catalog.CALL_ERRORS) == {}
    tally = folded(call(error_id="E-1"))
    assert counts(tally, catalog.CALL_ERRORS) == {("inbound", "hangup", "E-1"): 1}


def test_transfer_leg_is_no_error() -> None:
    """The leg of a transfer has no error series."""
    tally = folded(failed(1, event_type="transferDisconnect"))
    assert counts(tally, catalog.CALL_ERRORS) == {}


def test_error_ids_beyond_the_minutes_allowance() -> None:
    """An error id beyond the minute's allowance counts under other, and is an overflow."""
    tally = empty(max_new_error_ids_per_minute=2)
    overflows = [tally.fold(failed(number)) for number in range(3)]
    assert overflows == [(), ("error_id",), ("error_id",)]
    assert counts(tally, catalog.CALL_ERRORS) == {
        ("inbound", "busy", "E-0"): 1,
        ("inbound", "busy", "other"): 2,
    }


def test_storm_of_one_cause_leaves_room_for_another() -> None:
    """After a thousand failures of one cause the first id of another has its series."""
    tally = folded(*(failed(number) for number in range(1000)))
    tally.fold(call(cause="callback-error", error_id=ERROR_ID))
    assert value(tally, catalog.CALL_ERRORS, "inbound", "callback-error", ERROR_ID) == 1


def test_oldest_error_id_makes_room() -> None:
    """At the cap the oldest id makes room once it was shown long enough, and is gone entirely."""
    tally = folded(failed(0), failed(1, received=BORN + MINUTE), max_error_ids=2)
    assert tally.fold(failed(2, received=BORN + 2 * HOLD - 1)) == ("error_id",)
    assert tally.fold(failed(3, received=BORN + 2 * HOLD)) == ()
    assert value(tally, catalog.CALL_ERRORS, "inbound", "busy", "E-0") is None
    assert not is_newborn(tally, catalog.CALL_ERRORS, "inbound", "busy", "E-0")
    assert value(tally, catalog.CALL_ERRORS, "inbound", "busy", "E-1") == 1
    assert value(tally, catalog.CALL_ERRORS, "inbound", "busy", "E-3") == 1


def test_calls_exemplar() -> None:
    """A call's ids are the exemplar of its count, as one call at the time of its receipt."""
    tally = folded(call(error_id=ERROR_ID, received=BORN + 7))
    count = tally.counts[catalog.CALLS.name][CONFIGURED, "inbound", "hangup", "none", "true"]
    expected = Exemplar({"call_id": CALL_ID, "error_id": ERROR_ID}, SECOND, BORN + 7)
    assert count == Count(1, expected)


def test_histogram_exemplar() -> None:
    """A call's ids are the exemplar of the bucket that its value is in, at that value."""
    tally = folded(call(talk=42 * SECOND))
    histogram = tally.histograms[catalog.DURATION.name]["inbound", "none"]
    found = [exemplar for exemplar in histogram.exemplars if exemplar]
    assert found == [Exemplar({"call_id": CALL_ID}, 42 * SECOND, BORN)]
    assert histogram.exemplars.index(found[0]) == histogram.counts.index(1)


@pytest.mark.parametrize(
    ("one", "limits"),
    [
        (call(call_id=None), {}),
        (call(call_id="+19195550100"), {}),
        (call(call_id=f"{CALL_ID}0"), {}),
        (call(), {"exemplars": False}),
    ],
    ids=["no call id", "a number", "another form", "switched off"],
)
def test_no_exemplar(one: CallEnded, limits: dict[str, Any]) -> None:
    """Without a call id of Bandwidth's form, or where they are switched off, there is none."""
    tally = folded(one, **limits)
    assert not any(count.exemplar for count in tally.counts[catalog.CALLS.name].values())


def test_error_id_of_another_form_is_no_exemplar() -> None:
    """An error id that is no UUID stays out of the exemplar, which has 128 characters in all."""
    tally = folded(call(error_id="E-1"))
    found = [count.exemplar for count in tally.counts[catalog.CALLS.name].values()]
    assert [exemplar.labels for exemplar in found if exemplar] == [{"call_id": CALL_ID}]


def test_last_exemplar_stays() -> None:
    """A call without an exemplar does not take away the one that is there."""
    tally = folded(call(talk=1), call(call_id=None, talk=1))
    count = tally.counts[catalog.CALLS.name][CONFIGURED, "inbound", "hangup", "none", "true"]
    assert count.value == 2
    assert count.exemplar is not None
    assert tally.histograms[catalog.DURATION.name]["inbound", "none"].exemplars[0] is not None


@pytest.mark.parametrize(
    ("observed", "bucket"), [(0, 0), (999, 0), (1000, 0), (1001, 1), (2000, 1), (2001, 2)]
)
def test_bounds_are_inclusive(observed: int, bucket: int) -> None:
    """A value is in the first bucket whose bound it does not exceed."""
    bounds = (1000, 2000)
    histogram = Histogram.of(bounds)
    histogram.observe(bounds, observed, None)
    assert histogram.counts.index(1) == bucket
    assert (sum(histogram.counts), histogram.sum) == (1, observed)


def test_a_tally_answers_by_label() -> None:
    """It says how calls ended in all and by application, and when each was heard of last."""
    tally = folded(
        call(cause="busy", received=BORN + 5),
        call(cause="hangup", received=BORN + 7),
        call(cause="glare", application="missing", received=BORN + 9),
    )
    application = call().application
    assert +tally.by_cause() == {"busy": 1, "hangup": 1, "glare": 1}
    ended = {name: +causes for name, causes in tally.by_application().items()}
    assert ended[application] == {"busy": 1, "hangup": 1}
    assert ended["missing"] == {"glare": 1}
    assert tally.last_events()[application] == BORN + 7
    assert tally.causes() == [*CAUSES, "glare"]
    assert tally.applications()[0] == CONFIGURED
