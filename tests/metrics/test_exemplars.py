"""Exemplars: from a number in Prometheus to the calls behind it."""

import random
import time
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics import parser

from testkit import calls
from testkit.exporter import OPENMETRICS, Exporter, StartExporter
from testkit.prometheus import Job, Prometheus, StartPrometheus

CALLS = "bandwidth_voice_calls_total"
DURATION = "bandwidth_voice_call_duration_seconds_bucket"
SETUP = "bandwidth_voice_call_setup_seconds_bucket"

HOLD = 2  # seconds
HELD = f"--metrics.newborn-hold={HOLD}s"
KNOWN = f"--labels.application={calls.APPLICATION}=centre"

LONGEST = 128  # characters of names and values, by OpenMetrics 1.0.0

Ids = dict[str, str]


def send_calls(running: Exporter, number: int = 200) -> list[Ids]:
    """Send ended calls; return the ids by which each should be found."""
    dice = random.Random(4)
    events = [calls.ended_call(dice) for _ in range(number)]
    assert {running.send(event).status for event in events} == {204}
    return [ids(event) for event in events]


def ids(event: calls.Event) -> Ids:
    """The labels of an event's exemplar."""
    named = {"call_id": event["callId"], "error_id": event.get("errorId")}
    return {name: value for name, value in named.items() if value}


def exposed(running: Exporter) -> Iterator[tuple[str, Ids]]:
    """Every exemplar that /metrics shows, with the name of its sample."""
    text = running.scrape(OPENMETRICS).text
    # The parser has no annotations.
    for family in parser.text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar:
                yield sample.name, sample.exemplar.labels


def found(server: Prometheus, expr: str) -> list[Ids]:
    """The labels of all exemplars that Prometheus has for a selector."""
    now = time.time()
    return [
        exemplar["labels"]
        for series in server.query_exemplars(expr, now - 600, now + 1)
        for exemplar in series["exemplars"]
    ]


def watched(prometheus: StartPrometheus, running: Exporter) -> Prometheus:
    """A Prometheus that has scraped what is no longer held."""
    server = prometheus(Job("exporter", [running.ops_address]))
    server.wait_until_scraped_after(time.time() + HOLD)
    return server


@pytest.mark.prometheus
def test_exemplars_lead_to_calls(exporter: StartExporter, prometheus: StartPrometheus) -> None:
    """query_exemplars returns call_id and error_id of calls that were sent, by count and time."""
    running = exporter(HELD, KNOWN)
    sent = send_calls(running)
    server = watched(prometheus, running)
    for name in (CALLS, DURATION, SETUP):
        of_metric = found(server, name)
        assert [labels for labels in of_metric if labels not in sent] == []
        assert any("error_id" in labels for labels in of_metric)
    busy = found(server, f'{CALLS}{{cause="busy",direction="outbound"}}')
    assert busy
    assert all(labels.keys() == {"call_id", "error_id"} for labels in busy)


@pytest.mark.prometheus
def test_exemplars_can_be_switched_off(
    exporter: StartExporter, prometheus: StartPrometheus
) -> None:
    """With --no-exemplars neither /metrics nor Prometheus has a single one."""
    running = exporter(HELD, KNOWN, "--no-exemplars")
    send_calls(running)
    server = watched(prometheus, running)
    assert server.query(f"sum({CALLS})") == {frozenset(): 200}
    assert list(exposed(running)) == []
    assert found(server, '{__name__=~"bandwidth_voice_.+"}') == []


def test_exemplars_are_short(exporter: StartExporter) -> None:
    """An exemplar has at most 128 characters, however long the ids of its call are."""
    running = exporter(HELD, KNOWN)
    sent = send_calls(running)
    dice = random.Random(5)
    for length in (1, 60, 90, 128, 200, 2000):
        long = {"callId": "c-" + "a" * length, "errorId": "e" * length}
        for fields in (long, {"callId": long["callId"]}, {"errorId": long["errorId"]}):
            event = calls.ended_call(dice, cause="busy", **fields)
            assert running.send(event).status == 204
            sent.append(ids(event))
    shown = list(exposed(running))
    assert {CALLS, DURATION, SETUP} <= {name for name, _ in shown}
    for _, labels in shown:
        assert sum(map(len, (*labels, *labels.values()))) <= LONGEST
        assert any(labels.items() <= call.items() for call in sent)
