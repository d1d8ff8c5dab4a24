"""The lines of call metrics, byte for byte those of prometheus_client's own renderers."""

import random
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import exposition as text
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import snapshot
from bandwidth_voice_exporter.metrics.instruments import COUNTERS, Instruments
from bandwidth_voice_exporter.metrics.render import Lines, of_collector
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice import call, payload
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit import calls
from testkit.families import Families

BORN = 1_655_504_380_000_000
NAMES = {calls.APPLICATION: 'a "quoted" \\ name\nof two lines'}


class Both:
    """The lines in both formats."""

    def __init__(self) -> None:
        self._text = Lines(NAMES, is_openmetrics=False)
        self._openmetrics = Lines(NAMES, is_openmetrics=True)

    def write(self, taken: snapshot.Snapshot) -> tuple[str, str]:
        """Bodies of the same."""
        return self._text.write(taken), self._openmetrics.write(taken) + "# EOF\n"


def measures(taken: snapshot.Snapshot) -> tuple[str, str]:
    """Return what prometheus_client writes of a snapshot, in both formats."""
    return rendered(Families(taken, NAMES))


def rendered(families: Collector) -> tuple[str, str]:
    """Return what prometheus_client writes of some families, in both formats."""
    return (
        text.generate_latest(families).decode(),
        openmetrics.generate_latest(families).decode(),  # type: ignore[no-untyped-call]
    )


def folded(seed: int, number: int, limits: Limits) -> Tally:
    """A tally of calls of every kind, some strange."""
    dice = random.Random(seed)
    tally = Tally(limits, BORN)
    for at in range(number):
        strange = {
            "cause": dice.choice(("busy", "hangup", f"glare-{dice.choice('abcdefghijkl')}", 5)),
            "applicationId": f"{dice.randrange(60):08x}{calls.APPLICATION[8:]}",
            "sipResponseCode": dice.choice((None, 486, 699, 777)),
            "enqueuedTime": dice.choice((None, "2026-03-01T11:59:00Z")),
        }
        sent = calls.ended_call(dice, **(strange if dice.random() < 0.7 else {}))
        received = call.read_event(payload.Payload(**_snake(sent)), BORN + at * SECOND // 7)
        assert received.call is not None
        tally.fold(received.call)
    return tally


def _snake(sent: calls.Event) -> dict[str, object]:
    names = dict(
        zip(
            payload.Payload.__struct_encode_fields__, payload.Payload.__struct_fields__, strict=True
        )
    )
    return {names[name]: value for name, value in sent.items() if name in names}


@given(
    seed=st.integers(0, 2**32),
    number=st.integers(0, 120),
    scrape=st.booleans(),
    later=st.booleans(),
)
def test_same_bytes(seed: int, number: int, scrape: bool, later: bool) -> None:  # noqa: FBT001  # drawn
    """Both formats are as prometheus_client writes them, for any calls and any reader."""
    tally = folded(seed, number, Limits(applications=(calls.APPLICATION,)))
    now = BORN + (100 * SECOND if later else SECOND)
    taken = snapshot.snapshot_of(tally, now, is_scrape=scrape)
    assert Both().write(taken) == measures(taken)


@pytest.mark.parametrize("value", [999_999, 1_000_000, 1_234_567, 10**15, 2**53, 10**21])
def test_large_counts(value: int) -> None:
    """Large counts have the exponents that prometheus_client gives them."""
    tally = folded(1, 5, Limits())
    for series in tally.counts.values():
        for held in series.values():
            held.value = value
    taken = snapshot.snapshot_of(tally, BORN, is_scrape=False)
    assert Both().write(taken) == measures(taken)


def test_kept_from_scrape_to_scrape() -> None:
    """Kept lines are still right after more calls, and after error ids have been dropped."""
    lines = Both()
    limits = Limits(max_error_ids=3, max_new_error_ids_per_minute=1000, newborn_hold=0)
    tally = Tally(limits, BORN)
    dice = random.Random(1)
    for number, at in zip(range(600), count(BORN, SECOND), strict=False):
        received = call.read_event(payload.Payload(**_snake(calls.ended_call(dice))), at)
        assert received.call is not None
        tally.fold(received.call)
        if number % 100 == 99:
            taken = snapshot.snapshot_of(tally, at, is_scrape=False)
            assert lines.write(taken) == measures(taken)


class OwnCounters(Collector):
    """Of the exporter's own metrics those that Lines writes."""

    def __init__(self, instruments: Instruments) -> None:
        self._counted = instruments

    def collect(self) -> Iterator[Family]:
        """Yield their families."""
        names = {metric.name for metric in COUNTERS}
        for family in self._counted.collect():
            if f"{family.name}_total" in names:
                yield family


@given(
    event_types=st.lists(st.sampled_from(("disconnect", "gather", "new", 'strange "\\ \n'))),
    requests=st.integers(0, 3_000_000),
)
def test_own_counters(event_types: list[str], requests: int) -> None:
    """The exporter's own counters too are what prometheus_client writes, in both formats."""
    counted = Instruments()
    for event_type in event_types:
        counted.event(event_type, "counted", [("cause", "type")])
    counted._requests[("204",)] = requests  # noqa: SLF001  # one by one takes a second
    taken = snapshot.Snapshot(counted.counts(), {})
    assert (
        Lines({}, COUNTERS, is_openmetrics=False).write(taken),
        Lines({}, COUNTERS, is_openmetrics=True).write(taken) + "# EOF\n",
    ) == rendered(OwnCounters(counted))


class Taken(Collector):
    """Families as they were at one moment."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        """Yield them."""
        yield from self._families


def test_other_own_metrics() -> None:
    """The rest of its own, and of Python's, are what prometheus_client writes, but ``_created``."""
    instruments = Instruments()
    instruments.ledger.commit.observe(0.003)
    instruments.ledger.rows.set(12_345_678)
    instruments.certificate_ends.labels("ops").set(float("nan"))
    route = instruments.bear_route('/a "quoted" \\ path\nof two lines')
    route.answered(200, 7.5)
    taken = Taken(list(instruments.others.collect()))
    found = tuple(
        of_collector(taken, is_openmetrics=is_openmetrics).decode()
        for is_openmetrics in (False, True)
    )
    for family in taken.collect():
        created = f"{family.name}_created"
        family.samples = [sample for sample in family.samples if sample.name != created]
    assert found == rendered(taken)
