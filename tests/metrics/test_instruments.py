"""The exporter's metrics about itself."""

from itertools import product

import pytest

from bandwidth_voice_exporter import version
from bandwidth_voice_exporter.metrics import (
    COUNTED,
    IGNORED,
    REJECTIONS,
    Instruments,
    catalog,
)
from bandwidth_voice_exporter.voice.event_types import IGNORED_TYPES
from bandwidth_voice_exporter.voice.field_errors import FIELD_REASONS


def shown(instruments: Instruments, metric: catalog.Metric) -> dict[tuple[str, ...], float]:
    """The samples of a metric by label values."""
    return {
        tuple(sample.labels[label] for label in metric.labels): sample.value
        for family in instruments.collect()
        for sample in family.samples
        if sample.name == metric.name
    }


def moved(instruments: Instruments, metric: catalog.Metric) -> dict[tuple[str, ...], float]:
    """The samples of a metric that are not 0."""
    return {key: value for key, value in shown(instruments, metric).items() if value}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (catalog.REJECTED, {(reason,) for reason in REJECTIONS}),
        (
            catalog.FIELD_ERRORS,
            {(field, why) for field, whys in FIELD_REASONS.items() for why in whys},
        ),
        (
            catalog.EVENTS,
            {
                *product(("disconnect", "transferDisconnect"), ("counted", "duplicate")),
                *product((*IGNORED_TYPES, "missing", "invalid", "other"), ("ignored",)),
            },
        ),
    ],
    ids=lambda value: value.name if isinstance(value, catalog.Metric) else "",
)
def test_closed_sets_exist_from_the_start(
    metric: catalog.Metric, expected: set[tuple[str, ...]]
) -> None:
    """Every label set of a closed set exists at 0 from the start."""
    assert shown(Instruments(), metric) == dict.fromkeys(expected, 0)


@pytest.mark.parametrize("code", ["200", "204", "400", "401", "404", "405", "413", "431", "503"])
def test_status_codes_exist_from_the_start(code: str) -> None:
    """Every status that the webhook listener answers with exists at 0 from the start."""
    assert shown(Instruments(), catalog.WEBHOOK_REQUESTS)[code,] == 0


@pytest.mark.parametrize("label", ["application", "cause", "code", "error_id", "event_type"])
def test_overflow_exists_from_the_start(label: str) -> None:
    """Every capped label has its overflow at 0 from the start."""
    assert shown(Instruments(), catalog.LABEL_OVERFLOW)[label,] == 0


def test_request() -> None:
    """A request is counted by its status."""
    counted = Instruments()
    counted.request(204)
    counted.request(204)
    assert moved(counted, catalog.WEBHOOK_REQUESTS) == {("204",): 2}


def test_rejection() -> None:
    """A rejection is counted by its reason."""
    counted = Instruments()
    counted.rejected("too_large")
    assert moved(counted, catalog.REJECTED) == {("too_large",): 1}


def test_event() -> None:
    """An event is counted by type and result, what could not be used by field and reason."""
    counted = Instruments()
    counted.event("disconnect", COUNTED, [("cause", "type"), ("callId", "missing")])
    assert moved(counted, catalog.EVENTS) == {("disconnect", "counted"): 1}
    errors = {("cause", "type"): 1, ("callId", "missing"): 1}
    assert moved(counted, catalog.FIELD_ERRORS) == errors


def test_overflow() -> None:
    """Every overflowing label is counted."""
    counted = Instruments()
    counted.overflow(("cause", "error_id", "cause"))
    assert moved(counted, catalog.LABEL_OVERFLOW) == {("cause",): 2, ("error_id",): 1}


def test_event_types_are_capped() -> None:
    """New event types have their names up to twenty of them, then they are other and counted so."""
    counted = Instruments()
    for number in range(30):
        counted.event(f"mediaStream-{number}", IGNORED, [])
    events = moved(counted, catalog.EVENTS)
    assert events["mediaStream-0", "ignored"] == 1
    assert events["other", "ignored"] == 10
    assert len(events) == 21
    assert moved(counted, catalog.LABEL_OVERFLOW) == {("event_type",): 10}


def test_known_event_types_take_no_place() -> None:
    """The event types of Bandwidth's pages, and what is none, are outside the cap."""
    counted = Instruments()
    for event_type in (*IGNORED_TYPES, "missing", "invalid"):
        counted.event(event_type, IGNORED, [])
    assert moved(counted, catalog.LABEL_OVERFLOW) == {}


def test_credentials_loaded() -> None:
    """The credentials are good until they are not."""
    counted = Instruments()
    assert shown(counted, catalog.CREDENTIALS_LOADED) == {(): 1}
    counted.credentials_loaded.set(0)
    assert shown(counted, catalog.CREDENTIALS_LOADED) == {(): 0}


def test_build_info() -> None:
    """The build info says the version that is installed."""
    [(labels, value)] = shown(Instruments(), catalog.BUILD_INFO).items()
    assert labels[0] == version.version()
    assert all(labels)
    assert value == 1


def test_instruments_are_apart() -> None:
    """Two sets of instruments count apart."""
    first, second = Instruments(), Instruments()
    first.request(204)
    assert moved(second, catalog.WEBHOOK_REQUESTS) == {}
