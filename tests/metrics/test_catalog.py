"""The table of metrics, and that it is true."""

import re

import pytest
from prometheus_client import parser

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import CALL_METRICS, EXPORTER_METRICS, METRICS, Metric
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.exporter import StartExporter

EACH = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
NOT_BASE_UNITS = re.compile(
    r"_(ms|us|ns|millis|milliseconds|microseconds|minutes|hours|days|kib|kilobytes|mb|megabytes|"
    r"percent)(_|$)"
)

CONTRACT = {
    "calls_total": ("application", "direction", "cause", "fault_domain", "answered"),
    "short_calls_total": ("application", "direction"),
    "call_talk_seconds_total": ("application", "direction"),
    "transfer_legs_total": ("direction", "cause", "fault_domain", "answered"),
    "call_duration_seconds": ("direction", "fault_domain"),
    "call_setup_seconds": ("direction",),
    "call_unanswered_seconds": ("direction", "fault_domain"),
    "call_queue_seconds": ("direction",),
    "sip_rejections_total": ("code",),
    "call_errors_total": ("direction", "cause", "error_id"),
    "last_event_timestamp_seconds": ("application",),
    "webhook_delay_seconds": (),
    "exporter_webhook_requests_total": ("code",),
    "exporter_events_total": ("event_type", "result"),
    "exporter_rejected_total": ("reason",),
    "exporter_field_errors_total": ("field", "reason"),
    "exporter_label_overflow_total": ("label",),
    "exporter_build_info": ("version", "revision", "python_version"),
}
RING = (0.5, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 45, 60, 120, 300)
BUCKETS = {
    catalog.DURATION: (1, 3, 6, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400),
    catalog.SETUP: RING,
    catalog.UNANSWERED: RING,
    catalog.QUEUE: (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 240, 300),
    catalog.DELAY: (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300),
}


@pytest.mark.parametrize(("name", "labels"), CONTRACT.items())
def test_contract(name: str, labels: tuple[str, ...]) -> None:
    """A metric that others build on keeps its name and its labels."""
    found = {metric.name: metric.labels for metric in METRICS}
    assert found[f"bandwidth_voice_{name}"] == labels


@pytest.mark.parametrize(
    ("metric", "buckets"),
    BUCKETS.items(),
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_buckets_of_the_contract(metric: Metric, buckets: tuple[float, ...]) -> None:
    """A histogram of calls keeps its buckets."""
    assert metric.buckets == buckets


@EACH
def test_total_is_for_counters(metric: Metric) -> None:
    """A counter's name ends in _total, and no other's does."""
    assert metric.name.endswith("_total") == (metric.kind == "counter")


@EACH
def test_base_units(metric: Metric) -> None:
    """Times are in seconds, sizes in bytes, and no name says otherwise."""
    assert not NOT_BASE_UNITS.search(metric.name)
    assert metric.kind != "histogram" or metric.name.endswith(("_seconds", "_bytes"))
    assert not metric.micro or "_seconds" in metric.name


@EACH
def test_names(metric: Metric) -> None:
    """Names of metrics and labels are lower case with single underscores, labels none twice."""
    for name in (metric.name, *metric.labels):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert len(set(metric.labels)) == len(metric.labels)
    assert not {"le", "quantile", "job", "instance"} & {*metric.labels}


@EACH
def test_help(metric: Metric) -> None:
    """Help is a sentence on one line."""
    assert re.fullmatch(r"[A-Z1].+\.", metric.help)


@EACH
def test_buckets(metric: Metric) -> None:
    """Histograms have buckets in ascending order, others have none."""
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


@EACH
def test_samples(metric: Metric) -> None:
    """A histogram is stored as buckets, sum and count, everything else under its own name."""
    suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
    assert metric.samples == tuple(metric.name + suffix for suffix in suffixes)


def test_prefixes() -> None:
    """Metrics of calls and metrics of the exporter are told apart by their prefix."""
    assert all(metric.name.startswith("bandwidth_voice_exporter_") for metric in EXPORTER_METRICS)
    assert all(metric.name.startswith("bandwidth_voice_") for metric in CALL_METRICS)
    assert not any(metric.name.startswith("bandwidth_voice_exporter_") for metric in CALL_METRICS)


def test_no_name_twice() -> None:
    """No two metrics store samples under one name."""
    samples = [sample for metric in METRICS for sample in metric.samples]
    assert len(set(samples)) == len(samples)


def test_bounds_are_whole_microseconds() -> None:
    """A bound of a call's histogram is a whole number of microseconds."""
    bounds = [bound * SECOND for metric in CALL_METRICS for bound in metric.buckets]
    assert all(bound == int(bound) for bound in bounds)


def test_catalog_is_what_is_exposed(exporter: StartExporter) -> None:
    """A fresh exporter exposes what the catalog has, with its kind and help, and nothing else."""
    body = exporter().scrape().text
    kinds = dict(re.findall(r"^# TYPE (bandwidth_\S+) (\S+)$", body, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (bandwidth_\S+) (.*)$", body, re.MULTILINE))
    assert kinds == {metric.name: metric.kind for metric in METRICS}
    assert helps == {metric.name: metric.help for metric in METRICS}


def test_labels_are_those_of_the_catalog(exporter: StartExporter) -> None:
    """Every series of a fresh exporter has the labels that the catalog says, and no other."""
    running = exporter()
    running.send({"eventType": "disconnect", "cause": "busy", "errorId": "E-1"})
    labels = {sample: {*metric.labels} for metric in METRICS for sample in metric.samples}
    buckets = {metric.samples[0] for metric in METRICS if metric.kind == "histogram"}
    for family in parser.text_string_to_metric_families(running.scrape().text):
        for sample in family.samples:
            if sample.name.startswith("bandwidth_"):
                own = {"le"} if sample.name in buckets else set()
                assert {*sample.labels} == labels[sample.name] | own


def test_others_are_of_the_process_and_python(exporter: StartExporter) -> None:
    """Beside the catalog there are only the usual metrics of the process and of Python."""
    families = parser.text_string_to_metric_families(exporter().scrape().text)
    prefixes = ("bandwidth_voice_", "process_", "python_")
    assert [family.name for family in families if not family.name.startswith(prefixes)] == []
