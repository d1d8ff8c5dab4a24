"""The panels that are empty in health, in a run that gives them something to show."""

import base64
import contextlib
import http.client
import json
import random
import resource
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.voice.clock import now
from testkit import call_list, calls, dashboards, handlers, waiting
from testkit.call_list import CallList
from testkit.certificates import Authority, connection, dial
from testkit.dashboard_counts import Vector, increase, labels, quantile, scaled
from testkit.dashboard_expected import EMPTY_IN_HEALTH
from testkit.dashboard_run import JOB, WIDE, differences, evaluate
from testkit.exporter import WEBHOOK_PATH, Exporter, StartExporter
from testkit.handler import Handler
from testkit.ledgers import DAY, hurried, stored_calls, value
from testkit.prometheus import Job, Prometheus, StartPrometheus

pytestmark = pytest.mark.prometheus

USER = {"Authorization": f"Basic {base64.b64encode(b'bandwidth:right').decode()}"}
WRONG = {"Authorization": f"Basic {base64.b64encode(b'bandwidth:wrong').decode()}"}


class Webhook:
    """Requests over TLS, each on a connection of its own."""

    def __init__(self, address: str, authority: Authority) -> None:
        """Connect to nothing yet."""
        self.address = address
        self._context = authority.trusting()
        self._dice = random.Random(9)
        self.sent = 0

    def request(
        self,
        body: bytes,
        headers: dict[str, str] = USER,
        method: str = "POST",
        path: str = WEBHOOK_PATH,
    ) -> int:
        """The status of the answer."""
        with contextlib.closing(connection(self.address, self._context)) as client:
            client.request(method, path, body, headers)
            return client.getresponse().status

    def send(self, **fields: object) -> None:
        """Deliver one event that is taken."""
        event = calls.ended_call(self._dice, **fields)
        assert self.request(json.dumps(event).encode()) == 204
        self.sent += 1


@pytest.fixture
def handler() -> Iterator[Handler]:
    """The handler that answers forwarded requests."""
    with Handler(handlers.application) as running:
        yield running


@pytest.fixture
def listed() -> Iterator[CallList]:
    """Bandwidth's list of calls."""
    with CallList() as running:
        yield running


def provoke(webhook: Webhook) -> dict[str, Vector]:
    """Send what should not come; return how often, by panel and series."""
    event = json.dumps(calls.ended_call(random.Random(1))).encode()
    assert [webhook.request(event, WRONG) for _ in range(3)] == [401] * 3
    assert [webhook.request(body) for body in (b"[]", b"{")] == [400] * 2
    assert webhook.request(event, path="/wp-login.php") == 404
    assert webhook.request(event, method="PUT") == 405
    assert webhook.request(b" " * 5000) == 413
    webhook.send(cause="sudden-silence", endTime="not a time")
    with dial(webhook.address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while plain.recv(4096):
            pass  # until it hangs up
    return {
        "exporter/Rejections per minute by reason/A": {
            labels(reason="unauthorized"): 3,
            labels(reason="malformed"): 2,
            labels(reason="path"): 1,
            labels(reason="method"): 1,
            labels(reason="too_large"): 1,
        },
        "exporter/Unusable fields per minute/A": {labels(field="endTime", reason="malformed"): 1},
        "exporter/Label overflow per minute/A": {labels(label="cause"): 1},
        "exporter/TLS handshakes given up, per minute/A": {labels(listener="webhook"): 1},
    }


def fill_disk(running: Exporter, webhook: Webhook, ledger: Path) -> int:
    """Send events until the ledger fails and some more; return how many only memory has."""
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (64 * 1024, -1))

    def has_failed() -> bool:
        webhook.send()
        return value(running, "ledger_up") == 0

    waiting.until(has_failed, "the ledger to fail")
    for _ in range(5):
        webhook.send()
    with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
        [failed] = database.execute("SELECT count(*) FROM calls").fetchone()
        [normal] = database.execute("SELECT ifnull(sum(rows), 0) FROM batches").fetchone()
    return webhook.sent - int(failed) - int(normal)


def pass_on(webhook: Webhook) -> dict[str, Vector]:
    """Send what is passed on, well and in vain; return how often, by panel and series."""
    event = b'{"eventType":"answer"}'
    assert [webhook.request(event, path="/well") for _ in range(4)] == [200] * 4
    with pytest.raises((http.client.HTTPException, OSError)):
        webhook.request(event, path="/ill")
    return {
        "exporter/Handlers' answers per minute by code/A": {labels(code="200"): 4},
        "exporter/Unanswered by handlers, per minute/A": {
            labels(route="/ill", reason="protocol"): 1
        },
    }


def compared(running: Exporter, listed: CallList) -> dict[str, Vector]:
    """Have calls in Bandwidth's list that no webhook tells of; return how many, by panel."""
    start = datetime.now(UTC) + timedelta(seconds=1)
    times = {"startTime": calls.iso(start), "endTime": calls.iso(start)}
    dice = random.Random(2)
    for _ in range(3):
        listed.add(calls.ended_call(dice, direction="inbound") | times)
    series = labels(verdict="too_few")

    def has_compared() -> bool:
        return running.metrics().get((catalog.RECONCILE_CALLS.name, series)) == 3

    waiting.until(has_compared, "the listed calls to be compared")
    return {"exporter/Listed calls per minute by verdict/A": {series: 3}}


def in_vain(server: Prometheus, end: float) -> Vector:
    """The failed comparisons by reason, from the samples: nobody else counts the full disk's."""
    window = WIDE.rate_interval
    found = server.raw_samples(catalog.RECONCILE_FAILURES.name, f"{window}s", end)
    return {
        labels(reason=dict(series)["reason"]): grown
        for series, samples in found.items()
        if (grown := increase(samples, end - window, end)) > 0
    }


def since_compared(server: Prometheus, end: float) -> Vector:
    """How long ago it was last compared, as it was scraped."""
    (samples,) = server.raw_samples(catalog.RECONCILE_SUCCESS.name, "60s", end).values()
    return {labels(): end - samples[-1][1]}


def p95_of_well(server: Prometheus, end: float) -> Vector:
    """How long its handler took, from what was scraped of that."""
    window = WIDE.rate_interval
    selector = f'{catalog.FORWARD_SECONDS.name}_bucket{{route="/well"}}'
    below = {
        float(dict(found)["le"]): increase(samples, end - window, end)
        for found, samples in server.raw_samples(selector, f"{window}s", end).items()
    }
    counts = [below[bound] for bound in sorted(below)]
    number = quantile(0.95, counts, catalog.FORWARD_SECONDS.buckets)
    assert number is not None
    return {labels(route="/well"): number}


def errors_of(server: Prometheus, end: float) -> Vector:
    """The growth of the ledger's errors, from the samples: nobody else counts them."""
    name = "bandwidth_voice_exporter_ledger_errors_total"
    window = WIDE.rate_interval
    return {
        labels(operation=dict(found)["operation"]): grown
        for found, samples in server.raw_samples(name, f"{window}s", end).items()
        if (grown := increase(samples, end - window, end)) > 0
    }


def test_panels_that_are_empty_in_health(
    exporter: StartExporter,
    prometheus: StartPrometheus,
    handler: Handler,
    listed: CallList,
    tmp_path: Path,
) -> None:
    """Refused requests, odd fields, handlers, missed calls, a full disk: each is on its panel."""
    authority = Authority()
    authority.issue(tmp_path)
    tls = tmp_path / "web.yml"
    tls.write_text("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
    data = tmp_path / "exporter" / "data"
    pruned = now() - 2 * DAY
    stored_calls(data, 100, pruned)
    running = exporter(
        *listed.flags,
        *(call_list.credentials(tmp_path), "--reconcile.interval=1s", "--reconcile.settle=0s"),
        f"--forward.route=/well={handler.url}/200",
        f"--forward.route=/ill={handler.url}/rubbish",
        *(f"--webhook.config.file={tls}", "--webhook.max-body-bytes=4KiB"),
        *("--labels.max-new-causes=0", "--metrics.newborn-hold=2s"),
        *("--storage.retention=1h", "--storage.retention-normal=1h"),
        env={"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "right"},
        program=hurried(tmp_path, sure=0),
    )
    waiting.until(lambda: value(running, "ledger_rows") == 0, "the old calls to be gone")
    server = prometheus(Job(JOB, [running.ops_address]))
    server.wait_for_scrapes(JOB, 2)
    webhook = Webhook(running.webhook_address, authority)
    counted = provoke(webhook) | pass_on(webhook) | compared(running, listed)
    not_recorded = fill_disk(running, webhook, data / store.FILE)
    assert not_recorded >= 5
    server.wait_until_scraped_after(time.time())
    running.stop()
    end = server.scrapes(JOB)[0][-1]
    counted["exporter/Events not recorded, per minute/A"] = {
        labels(instance=running.ops_address): not_recorded
    }
    counted["exporter/Ledger errors per minute/A"] = errors_of(server, end)
    counted["exporter/Comparisons in vain, per minute/A"] = in_vain(server, end)
    assert counted["exporter/Ledger errors per minute/A"]  # of whatever wrote first
    expected = {
        key: scaled(vector, lambda number: number / WIDE.rate_interval * 60)
        for key, vector in counted.items()
    }
    expected["exporter/Calls can be looked up for/A"] = {
        labels(kind=kind): end - pruned / 10**6 for kind in ("failure", "normal")
    }
    expected["exporter/Handlers/A"] = {labels(route="/well"): 1, labels(route="/ill"): 0}
    waiting_ones: Vector = {labels(route=route): 0 for route in ("/well", "/ill")}
    expected["exporter/Requests that wait for a handler/A"] = waiting_ones
    expected["exporter/Seconds to a handler's answer, p95/A"] = p95_of_well(server, end)
    expected["exporter/Last comparison/A"] = since_compared(server, end)
    expected["exporter/Share of listed calls that webhooks reported/A"] = {
        labels(application=calls.APPLICATION, direction="inbound"): 0
    }
    expected["exporter/Durability/A"] = {labels(instance=running.ops_address): 0}
    assert expected.keys() >= EMPTY_IN_HEALTH
    queries = {query.key: query for query in dashboards.all_queries()}
    wrong = {
        key: different
        for key, vector in expected.items()
        if (different := differences(evaluate(server, queries[key], WIDE, end), vector))
    }
    assert wrong == {}
