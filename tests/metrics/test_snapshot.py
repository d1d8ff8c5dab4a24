"""The tally as a scrape sees it."""

from typing import Any

import msgspec
import pytest
from prometheus_client.core import Metric

from bandwidth_voice_exporter.metrics import catalog, snapshot
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ended import ended
from testkit.families import Families

NAMED = "93de2206-9669-4e07-948d-329f4b722ee2"
NEW = "550e8400-e29b-41d4-a716-446655440000"
CALL_ID = "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85"
BORN = 1_655_504_380_000_000
HOLD = 65 * SECOND

CALL = ended(
    received=BORN + HOLD,
    call_id=CALL_ID,
    application=NEW,
    direction="missing",
    cause="glare",
    setup=1_500_000,
    talk=42_000_001,
)

CALLS_OF_IT = {
    "application": NEW,
    "direction": "missing",
    "cause": "glare",
    "fault_domain": "unclassified",
    "answered": "true",
}
DURATION_OF_IT = {"direction": "missing", "fault_domain": "unclassified"}
NAMES = {NAMED: "Contact centre"}


def settled(*calls: CallEnded) -> Tally:
    """A tally whose known label sets are no longer held, with these calls after that."""
    tally = Tally(Limits(applications=(NAMED,)), BORN)
    tally.settle(BORN + HOLD)
    for one in calls:
        tally.fold(one)
    return tally


def call(**changes: Any) -> CallEnded:
    """A call with a new application, cause and direction, with other fields."""
    return msgspec.structs.replace(CALL, **changes)


def families(tally: Tally, after: int, *, is_scrape: bool) -> list[Metric]:
    """The families that are shown so many microseconds after the calls."""
    now = CALL.received + after
    return list(Families(snapshot.snapshot_of(tally, now, is_scrape=is_scrape), NAMES).collect())


class Shown:
    """The samples that are shown to whom, so long after the calls."""

    def __init__(self, tally: Tally, *, is_scrape: bool, after: int = 0) -> None:
        """Read them all, once."""
        self._samples = [
            sample
            for family in families(tally, after, is_scrape=is_scrape)
            for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one sample; None where there is none."""
        found = [one for one in self._samples if (one.name, one.labels) == (name, labels)]
        assert len(found) <= 1
        return found[0].value if found else None

    def exemplars(self) -> list[tuple[str, dict[str, str], float, float]]:
        """Each exemplar: name of its sample, labels, value, time."""
        return [
            (
                one.name,
                dict(one.exemplar.labels),
                one.exemplar.value,
                float(one.exemplar.timestamp or 0),
            )
            for one in self._samples
            if one.exemplar
        ]

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label."""
        return {one.labels[label] for one in self._samples if one.name == name}


def test_newborn_counter_is_zero_to_a_scrape() -> None:
    """A label set that is new is shown at 0 to a scrape and as it is to a person."""
    tally = settled(call())
    assert Shown(tally, is_scrape=True).value(catalog.CALLS.name, **CALLS_OF_IT) == 0
    assert Shown(tally, is_scrape=False).value(catalog.CALLS.name, **CALLS_OF_IT) == 1


def test_newborn_counter_after_its_hold() -> None:
    """Once the hold is over a scrape sees the truth."""
    shown = Shown(settled(call(), call()), is_scrape=True, after=HOLD)
    assert shown.value(catalog.CALLS.name, **CALLS_OF_IT) == 2


@pytest.mark.parametrize("step", [-300 * SECOND, 9 * 86_400 * SECOND])
def test_a_clock_that_is_set_ends_no_hold(step: int) -> None:
    """Setting the clock makes no hold shorter or longer."""
    tally = settled(call())
    tally.step(step)
    shown = Shown(tally, is_scrape=True, after=step + HOLD - 1)
    assert shown.value(catalog.CALLS.name, **CALLS_OF_IT) == 0
    shown = Shown(tally, is_scrape=True, after=step + HOLD)
    assert shown.value(catalog.CALLS.name, **CALLS_OF_IT) == 1


def test_person_does_not_end_a_hold() -> None:
    """A person who looks takes no scrape its zero."""
    tally = settled(call())
    Shown(tally, is_scrape=False)
    assert Shown(tally, is_scrape=True).value(catalog.CALLS.name, **CALLS_OF_IT) == 0


@pytest.mark.parametrize("suffix", ["_count", "_sum", "_bucket"])
def test_newborn_histogram_is_held_whole(suffix: str) -> None:
    """Count, sum and buckets of a new histogram are 0 to a scrape."""
    labels = {**DURATION_OF_IT, **({"le": "60.0"} if suffix == "_bucket" else {})}
    tally = settled(call())
    truth = 42.000001 if suffix == "_sum" else 1
    name = catalog.DURATION.name + suffix
    assert Shown(tally, is_scrape=True).value(name, **labels) == 0
    assert Shown(tally, is_scrape=False).value(name, **labels) == truth
    assert Shown(tally, is_scrape=True, after=HOLD).value(name, **labels) == truth


def test_newborn_exemplars_are_withheld() -> None:
    """A scrape gets no exemplar of what it sees at 0."""
    tally = settled(call())
    assert Shown(tally, is_scrape=True).exemplars() == []
    assert Shown(tally, is_scrape=False).exemplars()


def test_newborn_gauge_is_true() -> None:
    """A new application's last event is the truth to everybody, for a time of 0 is none."""
    shown = Shown(settled(call()), is_scrape=True)
    assert shown.value(catalog.LAST_EVENT.name, application=NEW) == CALL.received / SECOND


def test_known_label_sets_are_true() -> None:
    """A scrape sees the true values of label sets that are not new, beside a new one."""
    known = call(application=NAMED, direction="inbound", cause="hangup", talk=7 * SECOND)
    shown = Shown(settled(call(), known), is_scrape=True)
    labels = {"direction": "inbound", "fault_domain": "none"}
    assert shown.value(f"{catalog.DURATION.name}_count", **labels) == 1
    assert shown.value(
        catalog.CALLS.name,
        application="Contact centre",
        direction="inbound",
        cause="hangup",
        fault_domain="none",
        answered="true",
    )


@pytest.mark.parametrize(
    "metric", [catalog.CALLS, catalog.SHORT_CALLS, catalog.TALK, catalog.LAST_EVENT]
)
def test_applications_have_their_names(metric: catalog.Metric) -> None:
    """A configured application is shown by its name, another by its id."""
    shown = Shown(settled(call()), is_scrape=False)
    assert shown.labels(metric.name, "application") == {"Contact centre", NEW}


def test_names_are_for_applications_alone() -> None:
    """Another label's value that equals an application's id is not renamed."""
    tally = settled(call(error_id=NAMED))
    shown = Shown(tally, is_scrape=False)
    assert NAMED in shown.labels(catalog.CALL_ERRORS.name, "error_id")


def test_microseconds_are_shown_in_seconds() -> None:
    """Sums of microseconds are exposed in seconds."""
    shown = Shown(settled(call(), call()), is_scrape=False)
    labels = {"application": NEW, "direction": "missing"}
    assert shown.value(catalog.TALK.name, **labels) == 84.000002
    assert shown.value(f"{catalog.SETUP.name}_sum", direction="missing") == 3.0


def test_buckets_add_up() -> None:
    """Buckets are cumulative, the last one is +Inf and equals the count."""
    spans = (SECOND, 2 * SECOND, 20_000 * SECOND)
    shown = Shown(settled(*(call(talk=span) for span in spans)), is_scrape=False)
    name = catalog.DURATION.name
    bounds = {"1.0": 1, "3.0": 2, "14400.0": 2, "+Inf": 3}
    found = {le: shown.value(f"{name}_bucket", **DURATION_OF_IT, le=le) for le in bounds}
    assert found == bounds
    assert shown.value(f"{name}_count", **DURATION_OF_IT) == 3
    le = [str(float(bound)) for bound in catalog.DURATION.buckets]
    assert shown.labels(f"{name}_bucket", "le") == {*le, "+Inf"}


def test_exemplars_are_in_seconds() -> None:
    """An exemplar of a histogram has its value and its time in seconds, a counter's is one call."""
    ids, at = {"call_id": CALL_ID}, CALL.received / SECOND
    assert Shown(settled(call()), is_scrape=False).exemplars() == [
        (catalog.CALLS.name, ids, 1.0, at),
        (f"{catalog.DURATION.name}_bucket", ids, 42.000001, at),
        (f"{catalog.SETUP.name}_bucket", ids, 1.5, at),
    ]


def test_snapshot_stands_still() -> None:
    """A call that is folded after a snapshot was taken is not in the snapshot."""
    tally = settled(call())
    taken = Families(snapshot.snapshot_of(tally, CALL.received, is_scrape=False), NAMES)
    tally.fold(call(talk=SECOND))
    values = {
        sample.name: sample.value
        for family in taken.collect()
        for sample in family.samples
        if sample.labels in (CALLS_OF_IT, DURATION_OF_IT)
    }
    assert values[catalog.CALLS.name] == 1
    assert values[f"{catalog.DURATION.name}_count"] == 1


def test_every_call_metric_is_there() -> None:
    """Every call metric is a family of its kind, in the catalog's order."""
    found = [(family.name, family.type) for family in families(settled(), 0, is_scrape=True)]
    assert found == [
        (metric.name.removesuffix("_total"), metric.kind) for metric in catalog.CALL_METRICS
    ]
