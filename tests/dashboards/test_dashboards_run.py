"""The dashboards on a real Prometheus that scraped a simulated run: what they show is what was."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pytest

from bandwidth_voice_exporter.voice.call import DIRECTIONS
from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS, HANGUP, fault_domain
from bandwidth_voice_exporter.voice.event_types import DISCONNECT
from testkit import dashboards
from testkit.dashboard_counts import labels, legs
from testkit.dashboard_expected import EMPTY_IN_HEALTH, EXPECTED
from testkit.dashboard_run import (
    JOB,
    NAMES,
    NEW_CAUSE,
    Run,
    differences,
    evaluate,
    run,
    values_of_variables,
)
from testkit.dashboards import NAMES as DASHBOARDS
from testkit.dashboards import View, choices, load

pytestmark = pytest.mark.prometheus

Choice = Mapping[str, Sequence[str]]

# Each choice cuts away something that none of the others does.
CHOICES: dict[str, Choice] = {
    "all": {},
    "one": {
        "job": [JOB],
        "application": ["dialler"],
        "direction": ["outbound"],
        "fault_domain": ["application"],
        "cause": ["callback-error"],
    },
    "several": {
        "application": ["centre", "ivr"],
        "direction": ["inbound"],
        "fault_domain": ["user", "application", "unclassified"],
        "cause": ["cancel", "callback-error", "error", NEW_CAUSE],
    },
    "ends of transfers": {"fault_domain": ["user"], "cause": ["timeout", HANGUP]},
}
# Queries that give 0 in health and are shown so.
ZERO_IN_HEALTH = {"exporter/Storage/A", "exporter/Calls taken out per minute/A"}
# Queries that give a value without any call: of the exporter itself, and of counts, which are 0.
SHOWN_WHEN_IDLE = {
    *("outcomes/Calls ended/A", "outcomes/Calls per minute/A", "outcomes/How long calls last/A"),
    *("failures/Failed calls/A", "failures/Cut off mid-conversation/A"),
    *("exporter/Calls in the hour before/A", "exporter/Events per minute by result/A"),
    *(f"exporter/{title}/A" for title in ("Up", "Version", "Durability", "Storage")),
    *("exporter/Configuration files/A", "exporter/Configuration files/B"),
    *("exporter/Calls in the ledger/A", "exporter/Size of the ledger/A"),
    *("exporter/Calls taken out per minute/A", "exporter/Memory/A", "exporter/Processor/A"),
    *("exporter/Duration of a scrape/A", "exporter/Samples of a scrape/A"),
}
# Queries of metrics that the rules make, even without any call.
OF_RULES = {
    *(f"outcomes/Failing in the last hour, {direction}/B" for direction in DIRECTIONS),
    *("outcomes/Not reached in the last hour/B", "outcomes/Alert baseline/A"),
    "failures/Firing alerts/A",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run for all of them."""
    yield from run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES.keys())
def test_queries(done: Run, chosen: Choice) -> None:
    """Every query of every panel gives what the sender's log comes to, for what was chosen."""
    queries = {query.key: query for query in dashboards.all_queries()}
    assert queries.keys() == EXPECTED.keys()
    moment = done.moment(chosen)
    wrong = {}
    for key, query in queries.items():
        expected = EXPECTED[key](moment)
        if not chosen:
            has_value = key not in EMPTY_IN_HEALTH | ZERO_IN_HEALTH
            assert any(expected.values()) is has_value, key
        found = evaluate(done.server, query, moment.view, moment.time)
        if different := differences(found, expected):
            wrong[key] = different
    assert wrong == {}


def test_queries_when_idle(done: Run) -> None:
    """Before the first call no query gives NaN: there is a 0, or nothing and a word for it."""
    shown = set()
    view = View()
    for query in dashboards.all_queries():
        found = evaluate(done.server, query, view, done.began)
        assert all(math.isfinite(value) for value in found.values()), query.key
        assert query.panel["fieldConfig"]["defaults"]["noValue"]
        if found and "offset 1w" not in query.expr:
            shown.add(query.key)
    assert shown == SHOWN_WHEN_IDLE | OF_RULES


def test_queries_after_the_last_call(done: Run) -> None:
    """In an hour without calls after others no query gives NaN, and ratios give nothing."""
    # So short a window begins after the last call was counted: its samples do not grow.
    view = View(range=3, interval=1, scrape_interval=1)
    ratios = 0
    for query in dashboards.all_queries():
        found = evaluate(done.server, query, view, done.ended)
        assert all(math.isfinite(value) for value in found.values()), query.key
        if "$__rate_interval" in query.expr and ("/ (" in query.expr or "quantile" in query.expr):
            assert found == {}, query.key
            ratios += 1
    assert ratios > 10


@pytest.mark.parametrize(
    ("window", "seconds"), [("[1h]", 3600), ("[$__range]", 21600)], ids=["hour", "range"]
)
def test_windows(done: Run, window: str, seconds: int) -> None:
    """A query over an hour or the time range has values until its window is past, then none."""
    queries = [query for query in dashboards.all_queries() if window in query.expr]
    assert len(queries) > 4
    view = View(range=21600)
    for query in queries:
        assert evaluate(done.server, query, view, done.ended + seconds - 300), query.key
        assert not evaluate(done.server, query, view, done.ended + seconds + 60), query.key


@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES.keys())
def test_variables(done: Run, chosen: Choice) -> None:
    """Each variable offers what was sent or is known from the start, within those before it."""
    causes = {*CAUSES, NEW_CAUSE} - {HANGUP}
    domains = set(FAULT_DOMAINS) - {"none"}
    if "fault_domain" in chosen:
        causes = {cause for cause in causes if fault_domain(cause) in chosen["fault_domain"]}
    expected = {
        "job": {JOB},
        "instance": {done.instance},
        "application": set(NAMES.values()),
        "direction": set(DIRECTIONS),
        "fault_domain": domains,
        "cause": causes,
    }
    found = values_of_variables(done, chosen)
    assert found == {
        f"{name}/{variable['name']}": expected[variable["name"]]
        for name in DASHBOARDS
        for variable in choices(load(name))
    }


def test_last_event_is_between_the_requests(done: Run) -> None:
    """The time of the last event, which the log does not have, is after it was sent."""
    taken = set()
    sent = []
    for line in done.log:
        if line["event_type"] == DISCONNECT and line["call_id"] not in taken:
            taken.add(line["call_id"])
            sent.append(line["sent_at"])
    assert max(sent) <= done.last_received <= done.ended


def test_annotations(done: Run) -> None:
    """Restarts are drawn when the process started, alerts while they fire."""
    [dashboard, *others] = [load(name) for name in DASHBOARDS]
    drawn = {each["name"]: each.get("expr") for each in dashboard["annotations"]["list"]}
    for other in others:
        assert other["annotations"] == dashboard["annotations"]
    view = View()

    def found(name: str) -> dict[frozenset[tuple[str, str]], float]:
        return done.server.query(view.expand(drawn[name], choices(dashboard)), done.ended)

    [(_, started)] = found("Restarts").items()
    # Linux counts a process's start in hundredths of a second since it booted.
    assert abs(started / 1000 - done.process_started) < 5
    assert found("Alerts") == {
        labels(alertname="BandwidthVoiceInTest", severity="critical", fault_domain="application"): 1
    }


def test_exemplars(done: Run) -> None:
    """The points on the panels of durations and setup times are calls of the run, at their own."""
    lengths = {
        "outcomes/Call duration/B": {
            line["call_id"]: line["duration_seconds"] for line in done.log
        },
        "failures/Setup time, p95/A": {line["call_id"]: line["setup_seconds"] for line in done.log},
    }
    for query in dashboards.all_queries():
        if query.target["exemplar"]:
            expr = View().expand(query.expr, choices(load(query.dashboard)))
            points = [
                exemplar
                for series in done.server.query_exemplars(expr, done.began, done.ended)
                for exemplar in series["exemplars"]
            ]
            assert len(points) > 5
            for point in points:
                assert float(point["value"]) == lengths[query.key][point["labels"]["call_id"]]
    assert legs(done.log, NAMES)
