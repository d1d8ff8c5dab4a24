"""Native histograms: the same calls as the classic ones, in Prometheus's own buckets."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwidth_voice_exporter.metrics import Limits, Tally, catalog, checkpoint, snapshot_of
from bandwidth_voice_exporter.metrics.native import (
    MAX_BUCKETS,
    SCHEMA,
    NativeHistogram,
    bucket_of,
)
from bandwidth_voice_exporter.voice import SECOND, CallEnded, from_json, read_event
from testkit import calls

BORN = 1_655_504_380_000_000
WITH = Limits(applications=(calls.APPLICATION,), native_histograms=True)
WITHOUT = Limits(applications=(calls.APPLICATION,))
OBSERVED = (catalog.DURATION, catalog.SETUP, catalog.UNANSWERED, catalog.QUEUE)


def ended(seed: int, number: int) -> list[CallEnded]:
    """Calls of several applications, every second one of them queued."""
    dice = random.Random(seed)
    read = []
    for at in range(number):
        event = calls.ended_call(
            dice,
            applicationId=f"{dice.randrange(4):08x}{calls.APPLICATION[8:]}",
            enqueuedTime=dice.choice((None, "2026-03-01T11:59:00Z")),
        )
        call = read_event(from_json(json.dumps(event).encode()), BORN + at * SECOND).call
        assert call is not None
        read.append(call)
    return read


def folded(of: Iterable[CallEnded], limits: Limits = WITH) -> Tally:
    """A tally of calls."""
    tally = Tally(limits, BORN)
    for call in of:
        tally.fold(call)
    return tally


def classic(tally: Tally) -> dict[tuple[str, ...], tuple[int, int]]:
    """Count and sum of each classic histogram that is not empty, by name and labels."""
    return {
        (metric.name, *key): (sum(histogram.counts), histogram.sum)
        for metric in OBSERVED
        for key, histogram in tally.histograms[metric.name].items()
        if any(histogram.counts)
    }


def native(tally: Tally) -> dict[tuple[str, ...], tuple[int, int]]:
    """Count and sum of the native histograms, those of all applications together."""
    counts: Counter[tuple[str, ...]] = Counter()
    sums: Counter[tuple[str, ...]] = Counter()
    for name, natives in tally.natives.items():
        for (_, *key), histogram in natives.items():
            counts[name, *key] += histogram.count
            sums[name, *key] += histogram.sum
    return {key: (count, sums[key]) for key, count in counts.items() if count}


@given(
    value=st.integers(1, 10**13) | st.sampled_from([SECOND, SECOND // 2, 2 * SECOND]),
    schema=st.integers(-4, SCHEMA),
)
def test_each_value_is_in_its_bucket(value: int, schema: int) -> None:
    """A value is above the bound before its bucket's and at most its bucket's."""
    base = 2.0**2.0**-schema
    bucket = bucket_of(value / SECOND, schema)
    seconds = value / SECOND
    assert base ** (bucket - 1) < seconds * (1 + 1e-12)
    assert seconds <= base**bucket * (1 + 1e-12)


@pytest.mark.parametrize("power", range(-10, 11))
def test_bounds_are_included(power: int) -> None:
    """A power of two is the upper bound of its bucket at every resolution."""
    for schema in range(SCHEMA + 1):
        assert bucket_of(2.0**power, schema) == power * 2**schema


@given(st.lists(st.integers(0, 10**12), max_size=400))
def test_resolution_follows_the_spread(values: list[int]) -> None:
    """However far values spread, buckets stay within their number and lose none."""
    histogram = NativeHistogram(BORN)
    for value in values:
        histogram.observe(value, None)
    assert len(histogram.buckets) <= MAX_BUCKETS
    assert histogram.count == len(values)
    assert histogram.sum == sum(values)
    assert histogram.buckets == Counter(
        bucket_of(value / SECOND, histogram.schema) for value in values if value
    )


def test_resolution_halves_only_when_it_must() -> None:
    """The 161st bucket halves the resolution, the 160th does not."""
    histogram = NativeHistogram(BORN)
    for bucket in range(MAX_BUCKETS):
        histogram.observe(round(2 ** ((bucket + 0.5) / 8) * SECOND), None)
    assert (histogram.schema, len(histogram.buckets)) == (SCHEMA, MAX_BUCKETS)
    histogram.observe(round(2 ** ((MAX_BUCKETS + 0.5) / 8) * SECOND), None)
    assert (histogram.schema, histogram.count) == (SCHEMA - 1, MAX_BUCKETS + 1)


def test_natives_have_the_calls_of_classic_ones() -> None:
    """Over all applications, counts and sums are those of the classic histograms."""
    tally = folded(ended(1, 500))
    assert native(tally) == classic(tally)
    assert {name for name, *_ in native(tally)} == {metric.name for metric in OBSERVED}


def test_natives_are_by_application() -> None:
    """Each application's answered calls are in its own native histograms."""
    of = ended(2, 300)
    found: Counter[str] = Counter()
    for (application, *_), histogram in folded(of).natives[catalog.DURATION.name].items():
        found[application] += histogram.count
    assert +found == Counter(call.application for call in of if call.answered)


def test_without_there_are_none() -> None:
    """Without native histograms a tally keeps none, and a checkpoint has none."""
    tally = folded(ended(3, 50), WITHOUT)
    assert tally.natives == {}
    assert tally.totals().natives == {}


@pytest.mark.parametrize("metric", OBSERVED)
def test_known_ones_are_there_from_the_start(metric: catalog.Metric) -> None:
    """Before the first call a configured application has every native histogram, empty."""
    natives = Tally(WITH, BORN).natives[metric.name]
    assert {application for application, *_ in natives} == {calls.APPLICATION}
    assert {key[1:] for key in natives} == set(Tally(WITH, BORN).histograms[metric.name])
    assert not any(histogram.count for histogram in natives.values())


def test_a_new_one_is_first_shown_empty() -> None:
    """A scrape within the hold sees an application's first native histogram without its call."""
    [call] = [call for call in ended(4, 20) if call.talk is not None][:1]
    tally = folded([call])
    for now, count in ((BORN + SECOND, 0), (BORN + 200 * SECOND, 1)):
        taken = snapshot_of(tally, now, is_scrape=True, has_natives=True)
        shown = [
            histogram.count
            for key, histogram in taken.natives[catalog.DURATION.name]
            if key[0] == call.application
        ]
        assert sum(shown) == count


def test_a_snapshot_does_not_move() -> None:
    """A snapshot's native histograms stay as they were while calls go on."""
    of = ended(5, 100)
    tally = folded(of[:50])
    taken = snapshot_of(tally, BORN, is_scrape=False, has_natives=True)
    before = msgspec.msgpack.encode(taken.natives)
    for call in of[50:]:
        tally.fold(call)
    assert msgspec.msgpack.encode(taken.natives) == before


def test_natives_survive_a_restart() -> None:
    """A checkpoint and the calls after it give the same histograms as all calls folded at once."""
    of = ended(6, 200)
    state = checkpoint.encode(folded(of[:120]), {})
    again, anew = checkpoint.resume(state, WITH, {}, BORN + 1000 * SECOND, of[120:])
    assert anew == []
    whole = folded(of).natives
    assert {name: dict(natives) for name, natives in again.natives.items()} == whole


def test_natives_begin_when_they_are_asked_for() -> None:
    """Asked for at a restart, they count from then on, and say since when."""
    of = ended(7, 300)
    later = BORN + 1000 * SECOND
    state = checkpoint.encode(folded(of[:100], WITHOUT), {})
    tally, _ = checkpoint.resume(state, WITH, {}, later, of[100:150])
    before = classic(tally)
    assert native(tally) == {}
    for call in of[150:]:
        tally.fold(msgspec.structs.replace(call, received=later))
    since = {
        key: (count - before.get(key, (0, 0))[0], total - before.get(key, (0, 0))[1])
        for key, (count, total) in classic(tally).items()
    }
    assert native(tally) == {key: value for key, value in since.items() if value[0]}
    assert {
        histogram.born for natives in tally.natives.values() for histogram in natives.values()
    } == {later}


def test_natives_begin_anew_after_a_run_without() -> None:
    """Left out for a run, they do not go on as if they had been counting."""
    state = checkpoint.encode(folded(ended(8, 50)), {})
    without, _ = checkpoint.resume(state, WITHOUT, {}, BORN)
    tally, _ = checkpoint.resume(checkpoint.encode(without, {}), WITH, {}, BORN + SECOND)
    assert native(tally) == {}


def test_a_renamed_application_begins_anew() -> None:
    """A renamed application's native histograms start at 0, the others' go on."""
    tally = folded(ended(9, 200))
    renamed = f"{1:08x}{calls.APPLICATION[8:]}"
    again, _ = checkpoint.resume(checkpoint.encode(tally, {}), WITH, {renamed: "new"}, BORN)
    for name, natives in tally.natives.items():
        for key, histogram in natives.items():
            went_on = again.natives[name].get(key, NativeHistogram(0)).count
            assert went_on == (0 if key[0] == renamed else histogram.count)


def test_the_newest_call_stands_for_a_native_histogram() -> None:
    """A native histogram's exemplar is the last of its calls that has ids."""
    of = ended(10, 400)
    newest = {
        (call.application, call.direction): call.received for call in of if call.setup is not None
    }
    setups = folded(of).natives[catalog.SETUP.name]
    found = {key: one.exemplar.at for key, one in setups.items() if one.exemplar}
    assert found == newest


def test_what_is_frozen_is_made_once() -> None:
    """A native histogram that nothing was added to is not copied for the next scrape."""
    histogram = NativeHistogram(BORN)
    histogram.observe(SECOND, None)
    first = histogram.frozen()
    assert histogram.frozen() is first
    histogram.observe(SECOND, None)
    assert (first.count, histogram.frozen().count) == (1, 2)


def quantile(histogram: NativeHistogram, part: float) -> float:
    """A quantile in seconds, within its bucket by exponential interpolation as Prometheus's."""
    base = 2.0**2.0**-histogram.schema
    wanted, below = part * histogram.count, 0
    for bucket in sorted(histogram.buckets):
        count = histogram.buckets[bucket]
        if below + count >= wanted:
            return float(base ** (bucket - 1 + (wanted - below) / count))
        below += count
    raise AssertionError


def test_quantiles_are_within_five_per_cent() -> None:
    """p50, p95 and p99 of 100,000 durations are the true ones within 5 %."""
    dice = random.Random(11)
    values = sorted(round(dice.lognormvariate(4.5, 1.2) * SECOND) for _ in range(100_000))
    histogram = NativeHistogram(BORN)
    for value in values:
        histogram.observe(value, None)
    for part in (0.5, 0.95, 0.99):
        true = values[math.ceil(part * len(values)) - 1] / SECOND
        assert quantile(histogram, part) == pytest.approx(true, rel=0.05)
