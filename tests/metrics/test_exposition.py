"""A scrape's answer: negotiated, rendered, compressed."""

import gzip
from collections.abc import Callable, Iterable

import msgspec
import pytest
from prometheus_client import Counter, parser
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.registry import Collector

from bandwidth_voice_exporter.metrics import exposition, snapshot
from bandwidth_voice_exporter.metrics.exposition import OPENMETRICS, TEXT
from bandwidth_voice_exporter.metrics.instruments import Instruments
from bandwidth_voice_exporter.metrics.render import Lines
from bandwidth_voice_exporter.metrics.tally import Tally
from bandwidth_voice_exporter.metrics.totals import Limits
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ended import ended
from testkit.families import Families

APPLICATION = "550e8400-e29b-41d4-a716-446655440000"
ERROR_ID = "0f3a2b1c-0000-4000-8000-00000000cafe"
CALL_ID = "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85"
BORN = 1_655_504_380_000_000

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        # what is really sent
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF, OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.7,*/*;q=0.6", TEXT),
        (BROWSER, TEXT),
        ("*/*", TEXT),
        ("", TEXT),
        # qualities
        ("application/openmetrics-text;q=0.5,text/plain;q=0.4", OPENMETRICS),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT),
        ("text/plain;q=0.4,application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.000,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;q=0.001", OPENMETRICS),
        ("application/openmetrics-text;q=nan", TEXT),
        ("application/openmetrics-text;q=2", TEXT),
        ("application/openmetrics-text;q=high", TEXT),
        ("application/openmetrics-text; version=1.0.0 ; q=0.9 , text/plain ; q=0.8", OPENMETRICS),
        # versions
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text;version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0,application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("text/plain;version=1.0.0,application/openmetrics-text;q=0.1", OPENMETRICS),
        # spelling
        ("Application/OpenMetrics-Text;Version=1.0.0;Q=0.5", OPENMETRICS),
        ("application/vnd.google.protobuf", TEXT),
        (",;=;,", TEXT),
    ],
)
def test_negotiation(accept: str, expected: str) -> None:
    """OpenMetrics 1.0.0 goes to who prefers it, text 0.0.4 to everybody else."""
    assert exposition.negotiate(accept) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("identity;q=0.5, *;q=0.1", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
    ],
)
def test_gzip_negotiation(accept_encoding: str, expected: bool) -> None:  # noqa: FBT001  # a table
    """Gzip goes to who allows it."""
    assert exposition.accepts_gzip(accept_encoding) is expected


def collectors() -> tuple[Families, Instruments]:
    """A call with everything that can be shown of it, and the exporter's own metrics."""
    call = ended(
        received=BORN + SECOND,
        call_id=CALL_ID,
        application=APPLICATION,
        cause="rejected",
        error_id=ERROR_ID,
        sip_response_code=486,
        delay=SECOND,
        queue=2 * SECOND,
        setup=3_250_000,
        talk=42_000_001,
    )
    tally = Tally(Limits(), BORN)
    tally.fold(call)
    tally.fold(msgspec.structs.replace(call, talk=None, unanswered=SECOND, answered=False))
    names = {APPLICATION: 'a "quoted" \\ name'}
    taken = snapshot.snapshot_of(tally, BORN + SECOND, is_scrape=False)
    return Families(taken, names), Instruments()


def rendered(content_type: str, *, compress: bool = False, own: Collector | None = None) -> bytes:
    """The body of what collectors() gives."""
    families, instruments = collectors()
    lines = Lines(families.names, is_openmetrics=content_type == OPENMETRICS)
    written = lines.write(families.snapshot)
    return exposition.render(written.encode(), own or instruments, content_type, compress=compress)


Parse = Callable[[str], Iterable[Metric]]
BOTH = pytest.mark.parametrize(
    ("content_type", "parse"),
    [
        (TEXT, parser.text_string_to_metric_families),
        (OPENMETRICS, openmetrics.text_string_to_metric_families),
    ],
    ids=["text", "openmetrics"],
)


@BOTH
def test_bodies_parse_to_what_was_collected(content_type: str, parse: Parse) -> None:
    """Either body, read by its own parser, has every sample that was collected and no other."""
    body = rendered(content_type)
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())
        for sample in family.samples
        if sample.name.startswith("bandwidth_")
    }
    assert found == {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for source in collectors()
        for family in source.collect()
        for sample in family.samples
        if sample.name.startswith("bandwidth_") and not sample.name.endswith("_created")
    }


@BOTH
def test_gzip_changes_nothing_but_the_size(content_type: str, parse: Parse) -> None:
    """A compressed body is the same body, smaller."""
    nothing = CollectorRegistry()
    plain = rendered(content_type, own=nothing)
    packed = rendered(content_type, own=nothing, compress=True)
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 4
    assert list(parse(gzip.decompress(packed).decode()))


@pytest.mark.parametrize("content_type", [TEXT, OPENMETRICS])
def test_no_created_series(content_type: str) -> None:
    """No series says when another was created, the Python runtime's own included."""
    registry = CollectorRegistry()
    Counter("things", "Things.", ["kind"], registry=registry).labels("a").inc()
    body = rendered(content_type, own=registry)
    assert b'things_total{kind="a"} 1.0' in body
    assert b"_created" not in body


def test_openmetrics_exemplars() -> None:
    """In OpenMetrics the ids stand beside count, duration and setup, at the call's own values."""
    body = rendered(OPENMETRICS).decode()
    parse: Parse = openmetrics.text_string_to_metric_families
    exemplars = {
        sample.name: sample.exemplar
        for family in parse(body)
        for sample in family.samples
        if sample.exemplar
    }
    prefix = "bandwidth_voice_"
    assert {name.removeprefix(prefix): one.value for name, one in exemplars.items()} == {
        "calls_total": 1.0,
        "call_duration_seconds_bucket": 42.000001,
        "call_setup_seconds_bucket": 3.25,
    }
    ids = {"call_id": CALL_ID, "error_id": ERROR_ID}
    assert all(one.labels == ids for one in exemplars.values())
    assert all(float(one.timestamp or 0) == BORN / SECOND + 1 for one in exemplars.values())


def test_exemplar_is_short_enough() -> None:
    """Names and values of an exemplar stay within the 128 characters that OpenMetrics allows."""
    assert len("call_id" + CALL_ID + "error_id" + ERROR_ID) <= 128


def test_text_has_no_exemplars() -> None:
    """The text format, which has no exemplars, shows no call id."""
    assert CALL_ID.encode() not in rendered(TEXT)


def test_openmetrics_ends() -> None:
    """An OpenMetrics body says where it ends, a text body does not."""
    assert rendered(OPENMETRICS).endswith(b"\n# EOF\n")
    assert b"# EOF" not in rendered(TEXT)
