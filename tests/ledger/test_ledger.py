"""Every call counted exactly once, by the real program over real HTTP, whatever happens to it."""

import json
import random
import resource
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from bandwidth_voice_exporter.ledger import fingerprints, store
from bandwidth_voice_exporter.ledger.store import Saved, Store
from bandwidth_voice_exporter.voice.clock import now
from testkit import calls, faulty, waiting
from testkit.client import Client
from testkit.exporter import MODULE, WEBHOOK_PATH, Exporter, StartExporter, environment
from testkit.ledgers import DAY, call_metrics, hurried, sending, stored_calls, value
from testkit.process import Process

NEVER = "none:before:1"

# A round each: when the exporter dies in it. Five rounds a test, so that tests share the work.
MOMENTS: list[tuple[str, ...]] = [
    ("append:before:60", "append:after:60", "append:before:1", "append:after:1", "random"),
    ("checkpoint:before:3", "checkpoint:after:3", "checkpoint:before:1", "random", "random"),
    ("prune:before:2", "prune:after:2", "prune:before:5", "prune:after:4", "random"),
    ("append:after:200", "checkpoint:after:5", "append:before:250", "random", "random"),
    ("piece:before:1", "piece:after:2", "piece:before:3", "piece:after:4", "piece:before:9"),
    ("random", "random", "random", "random", "random"),
]
SOAK_ROUNDS = 200
# Calls of before, which are delivered again; with --soak more than memory once held.
KEPT = {False: 300, True: 201_000}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Many more rounds with --soak."""
    if "moments" in metafunc.fixturenames:
        dice = random.Random(SOAK_ROUNDS)
        more = SOAK_ROUNDS // 5 - len(MOMENTS) if metafunc.config.getoption("--soak") else 0
        # Pruning first: any other round would leave nothing old to prune.
        drawn = [
            tuple(
                sorted(
                    (_moment(dice) for _ in range(5)),
                    key=lambda moment: not moment.startswith("prune"),
                )
            )
            for _ in range(more)
        ]
        metafunc.parametrize("moments", MOMENTS + drawn)


def _moment(dice: random.Random) -> str:
    if dice.random() < 0.4:
        return "random"
    purpose, most = dice.choice((("append", 300), ("checkpoint", 6), ("piece", 9), ("prune", 2)))
    return f"{purpose}:{dice.choice(('before', 'after'))}:{dice.randint(1, most)}"


class Stored(NamedTuple):
    """A ledger, its calls that are to be pruned, and those that are kept and delivered again."""

    directory: Path
    old: list[calls.Event]
    kept: list[calls.Event]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Stored:
    """One for all rounds, with fingerprints in pieces."""
    directory = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as small:
        small.setattr(fingerprints, "_SEAL", 1000)
        old = stored_calls(directory, 8000, now() - 2 * DAY)
        kept = stored_calls(directory, KEPT[pytestconfig.getoption("--soak")], now())
    return Stored(directory, old, kept)


@pytest.mark.program
def test_kill(tmp_path: Path, moments: tuple[str, ...], stored: Stored) -> None:
    """A kill -9 under load, at any moment, loses no call and counts none twice.

    Some calls are delivered again, those of before the first kill too.
    """
    directory = tmp_path / "exporter"
    shutil.copytree(stored.directory, directory / "data")
    # The old failures are there to be pruned too.
    _kill(directory, moments, stored.old, stored.kept, "--storage.retention=1h")


@pytest.mark.program
def test_kill_while_rows_are_moved(tmp_path: Path) -> None:
    """An older ledger is moved whole, whatever is killed meanwhile, and calls are counted once."""
    directory = tmp_path / "exporter"
    kept = stored_calls(directory / "data", 3000, now(), version=4)
    _kill(directory, ("older:before:2", "older:after:3", "older:before:1", "random"), [], kept)
    with (
        Exporter(directory) as last,
        closing(sqlite3.connect(directory / "data" / store.FILE)) as ledger,
    ):
        find = "SELECT 1 FROM calls WHERE cause = 'hangup' LIMIT 1"
        waiting.until(lambda: not ledger.execute(find).fetchall(), "all rows to be moved", 60)
        assert last.stop() == 0


def _kill(
    directory: Path,
    moments: Sequence[str],
    old: Sequence[calls.Event],
    kept: Sequence[calls.Event],
    *more: str,
) -> None:
    """Let an exporter die in each of the moments, while calls come, and count them in the end."""
    with Exporter(directory.with_name("first")) as first:
        address = first.webhook_address
        first.kill()
    dice = random.Random(repr(moments))
    sender = calls.Sender(address, calls.ended_call, again=kept)
    arguments = [f"--webhook.listen-address={address}", "--web.listen-address=127.0.0.1:0", *more]
    try:
        for moment in moments:
            die_at = NEVER if moment == "random" else moment
            command = [sys.executable, faulty.__file__, die_at, *arguments]
            with Process(command, directory, environment(directory)) as deadly:
                if moment == "random":
                    deadly.wait_for_log("webhook listener ready")
                    _wait(dice.uniform(0.2, 1.0))
                    deadly.kill()
                assert deadly.wait(30) == -9
        with Exporter(directory, *arguments) as last:
            sent = sender.finish()
            assert sender.refused == []
            assert sender.unanswered > 0
            assert calls.counted(last.metrics()) == calls.expected([*old, *kept, *sent])
            rows = range(len(kept) + len(sent), len(old) + len(kept) + len(sent) + 1)
            waiting.until(lambda: value(last, "ledger_rows") in rows, "as many rows as calls")
            assert last.stop() == 0
    finally:
        sender.abandon()


def _wait(seconds: float) -> None:
    """Let a moment pass: the one at which a process is killed has no other condition."""
    end = time.monotonic() + seconds
    waiting.until(lambda: time.monotonic() > end, "the moment", seconds + 10)


@pytest.mark.program
@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_in_migration(tmp_path: Path, moment: str) -> None:
    """A kill -9 while an older schema is migrated leaves a ledger that the next start migrates."""
    old = stored_calls(tmp_path / "data", 500, now(), version=1)
    command = [sys.executable, faulty.__file__, f"migration:{moment}:1", *MODULE[3:]]
    listen = ["--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    with Process([*command, *listen], tmp_path, environment(tmp_path)) as killed:
        assert killed.wait() == -9
    with Exporter(tmp_path) as exporter:
        assert exporter.send(old[0]).status == 204
        assert calls.counted(exporter.metrics()) == calls.expected(old)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart(exporter: StartExporter, end: str) -> None:
    """After a restart, clean or not, every call metric is the same to the byte."""
    first = exporter()
    with sending(first, limit=2000) as sender:
        sent = sender.wait()
    before = call_metrics(first)
    if end == "stop":
        assert first.stop() == 0
    else:
        first.kill()
    second = exporter()
    assert call_metrics(second) == before
    assert calls.counted(second.metrics()) == calls.expected(sent)


def test_restart_without_application_names(exporter: StartExporter) -> None:
    """A cause and an application keep their own labels after a restart with caps of 0."""
    first = exporter()
    first.send(calls.ended_call(random.Random(1), cause="new-cause", direction="inbound"))
    first.stop()
    second = exporter("--labels.max-new-causes=0", "--labels.max-applications=0")
    second.send(calls.ended_call(random.Random(2), cause="new-cause", direction="inbound"))
    second.send(calls.ended_call(random.Random(3), cause="newer-cause", direction="inbound"))
    totals = calls.counted(second.metrics())["calls"]
    assert totals == {("inbound", "new-cause"): 2, ("inbound", "other"): 1}
    applications = {
        dict(labels)["application"]
        for name, labels in second.metrics()
        if name == "bandwidth_voice_calls_total"
    }
    assert applications == {calls.APPLICATION, "missing"}


def test_redelivery(exporter: StartExporter) -> None:
    """A call delivered three times at once, and three times again after a restart, counts once."""
    dice = random.Random(5)
    events = [calls.ended_call(dice) for _ in range(300)]

    def deliver(address: str) -> None:
        def send(event: calls.Event) -> int:
            client = Client(address)
            try:
                return client.request("POST", WEBHOOK_PATH, json.dumps(event).encode()).status
            finally:
                client.close()

        deliveries = [event for event in events for _ in range(3)]
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(send, deliveries)) == {204}

    first = exporter()
    deliver(first.webhook_address)
    assert calls.counted(first.metrics()) == calls.expected(events)
    first.kill()
    second = exporter()
    deliver(second.webhook_address)
    assert calls.counted(second.metrics()) == calls.expected(events)
    assert value(second, "events_total", event_type="disconnect", result="duplicate") == 900


def test_full_disk(exporter: StartExporter) -> None:
    """While the disk is full no request fails, and nothing is lost once there is space again."""
    first = exporter()
    with sending(first) as sender:
        waiting.until(lambda: len(sender.sent) > 500, "some calls recorded")
        pid = first.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE, (200_000, -1))
        waiting.until(lambda: value(first, "ledger_up") == 0, "the ledger to fail")
        assert first.ops.request("GET", "/-/healthy").status == 503
        assert first.ops.request("GET", "/-/ready").status == 200
        failed_at = len(sender.sent)
        waiting.until(lambda: len(sender.sent) > failed_at + 1000, "calls without a ledger")
        for event in sender.sent[failed_at + 100 : failed_at + 300]:
            assert first.send(event).status == 204
        assert value(first, "ledger_events_not_recorded_total") > 1000
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        waiting.until(lambda: value(first, "ledger_up") == 1, "the ledger to work again")
        assert first.ops.request("GET", "/-/healthy").status == 200
        sent = sender.finish()
        assert sender.refused == []
        assert sender.unanswered == 0
    assert calls.counted(first.metrics()) == calls.expected(sent)
    lines = [line for line in first.log_lines() if line["msg"].startswith("not durable")]
    assert len(lines) == 1
    first.kill()
    second = exporter()
    assert calls.counted(second.metrics()) == calls.expected(sent)
    for event in sent[failed_at : failed_at + 200]:
        assert second.send(event).status == 204
    assert calls.counted(second.metrics()) == calls.expected(sent)


def test_deleted_directory(exporter: StartExporter, tmp_path: Path) -> None:
    """When its directory is deleted, the exporter goes on and makes a new ledger of its totals."""
    first = exporter()
    data = tmp_path / "exporter" / "data"
    with sending(first) as sender:
        waiting.until(lambda: len(sender.sent) > 200, "some calls recorded")
        shutil.rmtree(data)
        waiting.until((data / store.FILE).exists, "a new ledger")
        at = len(sender.sent)
        waiting.until(lambda: len(sender.sent) > at + 200, "calls in the new ledger")
        waiting.until(lambda: value(first, "ledger_up") == 1, "the ledger to work again")
        sent = sender.finish()
        assert sender.refused == []
    assert value(first, "ledger_errors_total", operation="upkeep") == 1
    before = call_metrics(first)
    first.kill()
    second = exporter()
    assert call_metrics(second) == before
    assert calls.counted(second.metrics()) == calls.expected(sent)


def test_damaged(exporter: StartExporter, tmp_path: Path) -> None:
    """A damaged ledger is moved aside under a name with the time, and said so."""
    data = tmp_path / "exporter" / "data"
    data.mkdir(parents=True)
    (data / store.FILE).write_bytes(b"not a database, however one looks at it" * 200)
    first = exporter()
    line = first.wait_for_line(lambda line: "damaged" in line["msg"], "word of the damage")
    moved = data / Path(line["to"]).name
    assert moved.read_bytes().startswith(b"not a database")
    assert moved.name.startswith(f"{store.FILE}.damaged-20")
    assert first.send(calls.ended_call(random.Random(1))).status == 204
    assert value(first, "ledger_up") == 1


def test_damaged_in_the_middle(exporter: StartExporter, tmp_path: Path) -> None:
    """A page of rubbish in a ledger does not keep the exporter from starting and counting."""
    data = tmp_path / "exporter" / "data"
    stored_calls(data, 2000, now())
    with (data / store.FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 40960)
    first = exporter()
    first.wait_for_line(lambda line: "damaged" in line["msg"], "word of the damage")
    event = calls.ended_call(random.Random(1))
    assert first.send(event).status == 204
    assert calls.counted(first.metrics()) == calls.expected([event])


@pytest.mark.program
def test_newer_schema(tmp_path: Path) -> None:
    """A ledger of a later version is refused with a message, and left as it is."""
    stored_calls(tmp_path / "data", 5, now())
    database = sqlite3.connect(tmp_path / "data" / store.FILE)
    database.execute("PRAGMA user_version = 99")
    database.close()
    listen = ["--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    with Process([*MODULE, *listen], tmp_path, environment(tmp_path)) as refused:
        assert refused.wait() == 1
        assert "schema version 99" in refused.output()
    database = sqlite3.connect(tmp_path / "data" / store.FILE)
    assert database.execute("SELECT rows FROM ledger").fetchone() == (5,)
    database.close()


def test_locked(exporter: StartExporter, tmp_path: Path) -> None:
    """A second exporter on the same directory exits, naming the directory and the first one."""
    first = exporter()
    data = tmp_path / "exporter" / "data"
    command = [*MODULE, f"--storage.path={data}", "--web.listen-address=127.0.0.1:0"]
    with Process(command, tmp_path / "second", environment(tmp_path)) as second:
        assert second.wait() == 1
        assert str(data) in second.output()
        assert str(first.process.pid) in second.output()
    assert first.send(calls.ended_call(random.Random(1))).status == 204


def test_in_memory(exporter: StartExporter, tmp_path: Path) -> None:
    """Without a storage path nothing is written, a log line and a metric say so."""
    first = exporter("--storage.path=")
    event = calls.ended_call(random.Random(1))
    assert [first.send(event).status for _ in range(2)] == [204, 204]
    assert calls.counted(first.metrics()) == calls.expected([event])
    assert value(first, "ledger_in_memory") == 1
    first.wait_for_line(lambda line: "no storage path" in line["msg"], "the warning")
    assert not (tmp_path / "exporter" / "data").exists()


def test_renamed_application(exporter: StartExporter) -> None:
    """A renamed application goes on under its new name from 0; the others are as they were."""
    dice = random.Random(3)
    other = "1b1b1b1b-2222-3333-4444-555555555555"
    first = exporter(f"--labels.application={calls.APPLICATION}=old")
    for application in (calls.APPLICATION, calls.APPLICATION, other):
        first.send(calls.ended_call(dice, applicationId=application))
    first.stop()
    second = exporter(f"--labels.application={calls.APPLICATION}=new")
    assert _by_application(second) == {other: 1}
    second.send(calls.ended_call(dice))
    assert _by_application(second) == {"new": 1, other: 1}
    born = [
        labels
        for name, labels in second.metrics()
        if name == "bandwidth_voice_calls_total" and ("application", "new") in labels
    ]
    assert len(born) == 2 * 12 * 2


def _by_application(exporter: Exporter) -> dict[str, float]:
    totals: dict[str, float] = {}
    for (name, labels), sample in exporter.metrics().items():
        if name == "bandwidth_voice_calls_total" and sample:
            application = dict(labels)["application"]
            totals[application] = totals.get(application, 0) + sample
    return totals


def test_changed_buckets(exporter: StartExporter, tmp_path: Path) -> None:
    """A histogram whose buckets are others than the stored ones restarts alone, with a log line."""
    data = tmp_path / "exporter" / "data"
    old = stored_calls(data, 300, now())
    _change_stored_buckets(data / store.FILE, "bandwidth_voice_call_setup_seconds")
    first = exporter()
    line = first.wait_for_line(lambda line: "counted from 0 again" in line["msg"], "the log line")
    assert line["what"] == "bandwidth_voice_call_setup_seconds"
    samples = first.metrics()
    assert calls.counted(samples) == calls.expected(old)
    setups = [v for (name, _), v in samples.items() if name.endswith("call_setup_seconds_count")]
    assert setups == [0, 0]


def _change_stored_buckets(path: Path, metric: str) -> None:
    stored = Store(path)
    saved = stored.checkpoint()
    assert saved is not None
    decoded = msgspec.msgpack.decode(saved.state)
    labels, buckets = decoded["shapes"][metric]
    decoded["shapes"][metric] = [labels, [*buckets, 999.0]]
    stored.save(Saved(saved.last_row, msgspec.msgpack.encode(decoded)))
    stored.close()


@pytest.mark.program
def test_retention(tmp_path: Path) -> None:
    """Calls leave the ledger at their kind's age; no counter changes for it."""
    received = now() - 4 * DAY
    old = stored_calls(tmp_path / "data", 3000, received)
    normal = sum(event["cause"] == "hangup" for event in old)
    program = hurried(tmp_path, sure=0)
    with Exporter(tmp_path, program=program) as first:
        waiting.until(
            lambda: value(first, "ledger_pruned_rows_total", kind="normal") == normal,
            "pruned calls",
        )
        assert value(first, "ledger_pruned_rows_total", kind="failure") == 0
        waiting.until(lambda: value(first, "ledger_rows") == 3000 - normal, "fewer rows")
        before = value(first, "ledger_pruned_before_timestamp_seconds", kind="normal")
        assert before == received / 10**6
        assert calls.counted(first.metrics()) == calls.expected(old)
        first.stop()
    with Exporter(tmp_path, "--storage.retention=1h", program=program) as second:
        waiting.until(lambda: value(second, "ledger_rows") == 0, "no rows")
        assert calls.counted(second.metrics()) == calls.expected(old)


def test_max_bytes(exporter: StartExporter, tmp_path: Path) -> None:
    """At its size limit the ledger stays under 1.2 times it while events come, and counts all."""
    limit = 16 * 1024**2
    data = tmp_path / "exporter" / "data"
    old = stored_calls(data, 36_000, now())
    first = exporter("--storage.max-bytes=16MiB")
    with sending(first) as sender:
        waiting.until(
            lambda: value(first, "ledger_pruned_rows_total", kind="failure") > 0,
            "pruned failures",
            60,
        )
        sizes = []

        def is_enough() -> bool:
            sizes.append(sum(file.stat().st_size for file in data.iterdir()))
            return len(sender.sent) > 3000

        waiting.until(is_enough, "calls at the limit", 60)
        sent = sender.finish()
        assert sender.refused == []
    assert max(sizes) < 1.2 * limit
    assert calls.counted(first.metrics()) == calls.expected([*old, *sent])
