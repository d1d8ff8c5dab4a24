"""Native histograms from the running program."""

import random

from bandwidth_voice_exporter.metrics import catalog
from testkit import calls, client_model
from testkit.client_model import MetricFamily
from testkit.exporter import OPENMETRICS, TEXT, Exporter, StartExporter

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
DURATION = catalog.DURATION.native
NATIVE = "--metrics.native-histograms"
KNOWN = f"--labels.application={calls.APPLICATION}=centre"


def families(running: Exporter) -> dict[str, MetricFamily]:
    """The families that a Prometheus gets when it asks for native histograms."""
    answer = running.scrape(PROTOBUF)
    assert answer.headers["Content-Type"].replace("; ", ";") == PROTOBUF
    return client_model.parsed(answer.body)


def durations(running: Exporter) -> dict[tuple[str, ...], dict[int, int]]:
    """The buckets of each native histogram of durations, by its labels."""
    return {
        tuple(metric.labels.values()): metric.histogram.buckets()
        for metric in families(running)[DURATION].metric
        if metric.histogram
    }


def test_native_histograms_survive_a_kill(exporter: StartExporter) -> None:
    """After kill -9 and a restart they are what they were, and as exact as the counters."""
    running = exporter(NATIVE, KNOWN)
    dice = random.Random(1)
    events = [calls.ended_call(dice) for _ in range(100)]
    assert {running.send(event).status for event in events} == {204}
    before = durations(running)
    assert sum(sum(buckets.values()) for buckets in before.values()) == sum(
        "answerTime" in event for event in events
    )
    assert {application for application, *_ in before} == {"centre"}
    running.kill()
    assert durations(exporter(NATIVE, KNOWN)) == before


def test_other_scrapers_get_what_they_got(exporter: StartExporter) -> None:
    """The switch changes no byte about calls in the text formats; without it, nor do messages."""
    event = calls.ended_call(random.Random(2), eventTime=None)
    bodies = []
    for name, switch in (("with", [NATIVE]), ("without", [])):
        running = exporter("--no-exemplars", KNOWN, *switch, name=name)
        assert running.send(event).status == 204
        for accept in (TEXT, OPENMETRICS, "*/*"):
            lines = running.scrape(accept).text.splitlines()
            bodies.append([line for line in lines if line.startswith("bandwidth_voice_call")])
        if not switch:
            asked = running.scrape(f"{PROTOBUF};q=0.6,{OPENMETRICS};q=0.5")
            assert asked.headers["Content-Type"].startswith("application/openmetrics-text")
    assert bodies[:3] == bodies[3:]
