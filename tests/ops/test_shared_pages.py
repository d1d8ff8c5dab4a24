"""The pages and metrics of exporters that share a ledger."""

import random
import sys
from pathlib import Path

import pytest

from bandwidth_voice_exporter.settings import (
    SettingsError,
    database_hosts,
    database_url,
    resolve,
)
from testkit import calls, ledgers, quick_replica, waiting
from testkit.exporter import StartExporter
from testkit.postgres import Postgres


def test_each_shows_the_calls_of_all(exporter: StartExporter, postgres: Postgres) -> None:
    """The failures of all replicas are listed by each, and the status names the replicas."""
    url = f"--ledger.url={postgres.url(postgres.database())}"
    quick = (sys.executable, quick_replica.__file__, "30")
    one = exporter(url, "--replica.name=one", name="one", program=quick)
    two = exporter(url, "--replica.name=two", name="two", program=quick)
    dice = random.Random(1)
    events = [calls.ended_call(dice, cause="busy") for _ in range(4)]
    for place, event in enumerate(events):
        assert (one, two)[place % 2].send(event).status == 204
    for each in (one, two):
        found = each.ops.request("GET", "/api/v1/failures").text
        assert all(event["callId"] in found for event in events)
        looked_up = each.ops.request("GET", f"/api/v1/failures?call_id={events[0]['callId']}")
        assert looked_up.text.count(events[0]["callId"]) == 1
        other = "two" if each is one else "one"
        waiting.until(
            lambda each=each, other=other: f", beside {other}" in each.ops.request("GET", "/").text,  # type: ignore[misc]
            "the other one to be named",
        )


def test_a_start_without_the_database(exporter: StartExporter, tmp_path: Path) -> None:
    """Events are taken and no call series is shown before it is known what was counted."""
    one = exporter("--ledger.url=postgresql://nobody@127.0.0.1:9/none?sslmode=disable")
    assert one.send(calls.ended_call(random.Random(1))).status == 204
    assert ledgers.value(one, "ledger_up") == 0
    assert "bandwidth_voice_calls_total{" not in one.scrape().text
    assert one.ops.request("GET", "/-/ready").status == 200
    assert one.ops.request("GET", "/-/healthy").status == 503
    page = one.ops.request("GET", "/")
    assert "Events are" in page.text
    assert not (tmp_path / "exporter" / "data").exists()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a@one,two:5433/d", [("one", None), ("two", 5433)]),
        ("postgresql://a@[::1]:5433,[fe80::2]/d", [("::1", 5433), ("fe80::2", None)]),
        ("postgresql://a@one,two:1/d?port=5434", [("one", 5434), ("two", 1)]),
        ("postgresql:///d?host=one,two&port=1,2", [("one", 1), ("two", 2)]),
        ("postgresql://a@%2Frun%2Fpostgresql/d", [("/run/postgresql", None)]),
        ("postgresql:///d", []),
    ],
)
def test_hosts_of_a_url(url: str, hosts: list[tuple[str, int | None]]) -> None:
    """A URL names one host or several, each with a port, or with none where it is the default."""
    assert database_hosts(database_url(url)) == hosts


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://a:secret@h/d", "a password belongs into --ledger.password-file"),
        ("mysql://h/d", "not of the form postgresql://USER@HOST"),
        ("postgresql://a@h/d?pass%77ord=secret", "a password belongs into --ledger.password-file"),
        ("postgresql://a@h/", "it names no database"),
        ("postgresql://a@h:five/d", "'five' is not a port: it is a number from 1 to 65535"),
        ("postgresql://a@h:70000/d", "'70000' is not a port"),
        (
            "postgresql://a@h/d?port=5432,5433",
            "it has neither one port for all hosts nor one for each",
        ),
        ("postgresql://a@one,,two/d", "'' is not a host: HOST, HOST:PORT or"),
        ("postgresql://a@h/d?sslrotcert=x", "no option sslrotcert; the nearest one is sslrootcert"),
        ("postgresql://a@h/d?sslmode=verify", "sslmode is one of disable, allow, prefer, require"),
        ("postgresql://a@h/d?sslmode", r"its options are not of the form \?NAME=VALUE"),
    ],
)
def test_urls_that_cannot_be_meant(url: str, said: str) -> None:
    """A URL that does not do is refused, and a password in it is not quoted."""
    with pytest.raises(SettingsError, match=said) as refused:
        resolve({"ledger.url": url}, {}, {})
    assert "secret" not in str(refused.value)
