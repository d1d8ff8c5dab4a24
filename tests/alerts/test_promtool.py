"""Prometheus's own tools and a strict parser accept /metrics as correct."""

from pathlib import Path

import pytest

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.simulate.profile import APPLICATIONS
from bandwidth_voice_exporter.voice.call import DIRECTIONS
from testkit import prometheus as prom
from testkit.exporter import OPENMETRICS, TEXT, Exporter, StartExporter
from testkit.simulator import simulate


@pytest.fixture
def seasoned(exporter: StartExporter, tmp_path: Path) -> Exporter:
    """An exporter that has seen a simulated run, an undocumented cause, and what it refuses."""
    known, *_ = APPLICATIONS
    running = exporter(
        f'--labels.application={known.application_id}=a \\ "quoted" name\'s tail',
        "--metrics.newborn-hold=1s",
    )
    simulate(
        tmp_path / "simulation",
        running.webhook_url,
        "--events=1000",
        "--flat",
        "--rate=6000",
        "--speed=100",
        "--duplicate-share=0.1",
        "--get-share=0.2",
        *(
            f"--incident=cause={cause},after=0s,for=10m,share=0.05,direction={direction}"
            for cause in ("sudden-silence", "busy")
            for direction in DIRECTIONS
        ),
    )
    assert running.send_bytes(b"no JSON").status == 400
    assert running.send({"eventType": "answer", "callId": "c-1"}).status == 204
    assert running.send({"eventType": "disconnect", "cause": 7, "endTime": "soon"}).status == 204
    return running


@pytest.mark.prometheus
def test_promtool_has_no_complaint(seasoned: Exporter) -> None:
    """`promtool check metrics` passes on the text format, a scrape's or not, without a word."""
    for scrape in (True, False):
        text = seasoned.scrape(scrape=scrape).text
        result = prom.promtool("check", "metrics", stdin=text)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_openmetrics_is_valid(seasoned: Exporter) -> None:
    """A strict parser takes the OpenMetrics format and finds the values of the text format."""
    shown, as_text = (
        {key: value for key, value in seasoned.metrics(kind).items() if is_about_calls(key[0])}
        for kind in (OPENMETRICS, TEXT)
    )
    assert shown == as_text
    assert {name for name, _ in shown} == {
        name
        for metric in catalog.CALL_METRICS
        for name in metric.samples
        if metric is not catalog.RECONCILED_CALLS  # where they are asked for
    }


def is_about_calls(name: str) -> bool:
    """Whether nothing but a call can move a sample."""
    return name.startswith("bandwidth_voice_") and "_exporter_" not in name
