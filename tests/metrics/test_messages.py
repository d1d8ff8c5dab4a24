"""The exposition as messages: what Google's parser reads is what the text says."""

import random
from itertools import chain

import msgspec
import pytest

from bandwidth_voice_exporter.metrics import (
    COUNTERS,
    Instruments,
    Limits,
    Messages,
    Snapshot,
    Tally,
    catalog,
    exposition,
    snapshot_of,
)
from bandwidth_voice_exporter.metrics.native import NativeHistogram
from bandwidth_voice_exporter.voice import SECOND, from_json, read_event
from testkit import calls, client_model
from testkit.client_model import MetricFamily
from testkit.families import Families

BORN = 1_655_504_380_000_000
NAMES = {calls.APPLICATION: 'a "quoted" \\ näme\nof two lines'}
# The Accept header that Prometheus 3.9 sends with scrape_native_histograms.
PROMETHEUS_3 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)

NATIVE_NAMES = {metric.name: metric.native for metric in catalog.CALL_METRICS if metric.native}

Series = tuple[str, frozenset[tuple[str, str]]]


def folded(number: int) -> Tally:
    """A tally of calls of several applications."""
    dice = random.Random(1)
    tally = Tally(Limits(applications=tuple(NAMES), native_histograms=True), BORN)
    for at in range(number):
        event = calls.ended_call(dice, **dice.choice(({}, {"applicationId": str(dice.random())})))
        call = read_event(from_json(msgspec.json.encode(event)), BORN + at * SECOND).call
        assert call is not None
        tally.fold(call)
    return tally


def taken_of(tally: Tally, instruments: Instruments) -> Snapshot:
    """The snapshot that a scrape would show."""
    calls = snapshot_of(tally, BORN + 10**9, is_scrape=False, has_natives=True)
    return msgspec.structs.replace(calls, counts=calls.counts | instruments.counts())


def body_of(messages: Messages, taken: Snapshot, instruments: Instruments) -> bytes:
    """The body of a scrape."""
    calls = messages.write(taken)
    return exposition.render(calls, instruments.others, exposition.PROTOBUF, compress=False)


def messages() -> Messages:
    """A writer of all metrics that are written by hand."""
    return Messages(NAMES, (*catalog.CALL_METRICS, *COUNTERS))


def samples(families: dict[str, MetricFamily]) -> dict[Series, float]:
    """The samples that the text format has of the same, native histograms left out."""
    found: dict[Series, float] = {}
    for name, family in families.items():
        for metric in family.metric:
            labels = metric.labels.items()
            histogram = metric.histogram
            if value := metric.counter or metric.gauge:
                found[name, frozenset(labels)] = value.value
            elif histogram is not None and not histogram.positive_span:
                found[f"{name}_count", frozenset(labels)] = histogram.sample_count
                found[f"{name}_sum", frozenset(labels)] = histogram.sample_sum
                for bucket in histogram.bucket:
                    bound = ("le", str(bucket.upper_bound).replace("inf", "+Inf"))
                    found[f"{name}_bucket", frozenset((*labels, bound))] = bucket.cumulative_count
    return found


def test_messages_say_what_the_text_says() -> None:
    """Every counter, gauge and classic histogram is there once, with its labels and value."""
    tally, instruments = folded(300), Instruments()
    instruments.ledger.commit.observe(0.02)
    taken = taken_of(tally, instruments)
    families = client_model.parsed(body_of(messages(), taken, instruments))
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in chain(Families(taken, NAMES).collect(), instruments.collect())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    moving = ("process_", "python_gc_")
    found = samples(families)
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert value == expected[key] or key[0].startswith(moving), key


def test_names_kinds_and_helps_are_the_catalogs() -> None:
    """Each family has the catalog's name, type and help."""
    instruments = Instruments()
    families = client_model.parsed(
        body_of(messages(), taken_of(folded(5), instruments), instruments)
    )
    kinds = {"counter": 0, "gauge": 1, "histogram": 4}
    assert {
        (name, family.type, family.help)
        for name, family in families.items()
        if name.startswith("bandwidth_")
    } == {
        (name, kinds[metric.kind], metric.help)
        for metric in catalog.METRICS
        for name in filter(None, (metric.name, metric.native))
    }


def test_native_histograms_are_read_back() -> None:
    """Count, sum, buckets and birth of each native histogram are the tally's, and its call's id."""
    tally = folded(400)
    taken = taken_of(tally, Instruments())
    families = client_model.parsed(messages().write(taken))
    for name, natives in tally.natives.items():
        found = {
            tuple(metric.labels.values()): metric.histogram
            for metric in families[NATIVE_NAMES[name]].metric
            if metric.histogram
        }
        assert len(found) == len(natives)
        for (application, *key), histogram in natives.items():
            shown = found[(NAMES.get(application, application), *key)]
            assert shown.sample_count == histogram.count
            assert shown.sample_sum == histogram.sum / SECOND
            assert (shown.schema, shown.zero_count) == (histogram.schema, histogram.zero)
            assert shown.buckets() == histogram.buckets
            assert 0 < shown.zero_threshold < 1 / SECOND
            assert shown.created_timestamp is not None
            seconds, nanos = shown.created_timestamp.seconds, shown.created_timestamp.nanos
            assert seconds * SECOND + nanos // 1000 == histogram.born
            newest = histogram.exemplar
            assert [
                {pair.name: pair.value for pair in exemplar.label} for exemplar in shown.exemplars
            ] == ([{"call_id": newest.labels["call_id"]}] if newest else [])


@pytest.mark.parametrize(
    "buckets",
    [{}, {0: 1}, {-3: 2}, {5: 1, 6: 9, 7: 1}, {-300: 1, 0: 10**9, 1: 1, 200: 3}],
    ids=str,
)
def test_any_buckets_are_read_back(buckets: dict[int, int]) -> None:
    """Gaps, indexes below 0, large counts and no bucket at all are read as they are."""
    histogram = NativeHistogram(BORN, zero=2, buckets=buckets)
    tally = folded(0)
    taken = taken_of(tally, Instruments())
    natives = {catalog.SETUP.name: [((calls.APPLICATION, "inbound"), histogram)]}
    body = messages().write(msgspec.structs.replace(taken, natives=natives))
    [shown] = [
        metric.histogram for metric in client_model.parsed(body)[catalog.SETUP.native].metric
    ]
    assert shown is not None
    assert shown.positive_span
    assert shown.buckets() == buckets
    assert shown.sample_count == 2 + sum(buckets.values())


@pytest.mark.parametrize(
    "later",
    [
        NativeHistogram(BORN, buckets={1: 3, 2: 1}),
        NativeHistogram(BORN, buckets={1: 3, 2: 1, 9: 1}),
        NativeHistogram(BORN, schema=2, buckets={1: 4, 3: 1}),
        NativeHistogram(BORN + SECOND, buckets={4: 1, 5: 1}),
    ],
    ids=["more", "another-bucket", "half-the-resolution", "begun-anew"],
)
def test_a_histogram_that_changed_is_what_it_is_now(later: NativeHistogram) -> None:
    """However a native histogram changes between scrapes, a kept writer writes it as it is now."""
    taken, kept = taken_of(folded(0), Instruments()), messages()
    for histogram in (NativeHistogram(BORN, buckets={1: 1, 2: 1}), later):
        natives = {catalog.SETUP.name: [((calls.APPLICATION, "inbound"), histogram)]}
        now = msgspec.structs.replace(taken, natives=natives)
        assert kept.write(now) == messages().write(now)


def test_what_is_kept_from_scrape_to_scrape_is_right() -> None:
    """After more calls, and after series that went, a writer says what a new one would."""
    dice = random.Random(2)
    limits = Limits(max_error_ids=3, max_new_error_ids_per_minute=1000, native_histograms=True)
    tally, instruments, kept = Tally(limits, BORN), Instruments(), messages()
    for at in range(0, 1000, 100):
        for _ in range(20):
            event = calls.ended_call(dice)
            call = read_event(from_json(msgspec.json.encode(event)), BORN + at * SECOND).call
            assert call is not None
            tally.fold(call)
        taken = taken_of(tally, instruments)
        assert kept.write(taken) == messages().write(taken)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (PROMETHEUS_3, exposition.PROTOBUF),
        ("*/*", exposition.TEXT),
        ("application/vnd.google.protobuf", exposition.TEXT),
        (PROMETHEUS_3.replace("delimited", "text"), exposition.OPENMETRICS),
        (PROMETHEUS_3.replace("q=0.6", "q=0.1"), exposition.OPENMETRICS),
    ],
)
def test_messages_are_for_those_that_prefer_them(accept: str, chosen: str) -> None:
    """Where messages are offered, only a scraper that prefers delimited ones gets them."""
    assert exposition.negotiate(accept, has_protobuf=True) == chosen


def test_messages_are_not_offered_of_themselves() -> None:
    """Without native histograms a scraper that prefers messages gets OpenMetrics."""
    assert exposition.negotiate(PROMETHEUS_3) == exposition.OPENMETRICS


def test_native_histograms_have_families_of_their_own() -> None:
    """No family has both kinds: Prometheus takes a native one after a classic for classic."""
    families = client_model.parsed(messages().write(taken_of(folded(50), Instruments())))
    for name, family in families.items():
        kinds = {
            bool(metric.histogram.positive_span) for metric in family.metric if metric.histogram
        }
        assert kinds in (set(), {name in NATIVE_NAMES.values()})
