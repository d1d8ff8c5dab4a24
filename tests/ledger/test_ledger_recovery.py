"""The real program copes with a ledger, a disk or a clock that is not as it should be."""

import contextlib
import random
import sqlite3
import sys
from pathlib import Path

import pytest

from bandwidth_voice_exporter.ledger import store
from bandwidth_voice_exporter.voice.clock import now
from testkit import calls, waiting
from testkit.exporter import MODULE, Exporter, StartExporter
from testkit.ledgers import (
    DAY,
    call_metrics,
    hurried,
    sending,
    set_ahead,
    stored_calls,
    value,
)
from testkit.process import Process

# A reader that stays, as a shell with an open SELECT or a backup is.
READER = """
import signal, sqlite3, sys
shell = sqlite3.connect(sys.argv[1], isolation_level=None)
shell.execute("BEGIN")
shell.execute("SELECT * FROM calls").fetchone()
print("reading", flush=True)
signal.pause()
"""
SMALL_FILES = (
    "sh",
    "-c",
    'ulimit -f 8; PYTHONDONTWRITEBYTECODE=1 exec "$0" "$@"',
    *MODULE,
)  # of 512 or 1,024 bytes


def by_application(exporter: Exporter, *, scrape: bool = False) -> dict[str, float]:
    """Calls by application, those without any left out."""
    totals: dict[str, float] = {}
    for (name, labels), calls_counted in exporter.metrics(scrape=scrape).items():
        if name == "bandwidth_voice_calls_total" and calls_counted:
            application = dict(labels)["application"]
            totals[application] = totals.get(application, 0) + calls_counted
    return totals


def test_damage_while_running(exporter: StartExporter, tmp_path: Path) -> None:
    """A database damaged under the running exporter is replaced; no counter steps back."""
    data = tmp_path / "exporter" / "data"
    old = stored_calls(data, 20_000, now())  # more than SQLite keeps in memory
    first = exporter()
    with (data / store.FILE).open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * ((data / store.FILE).stat().st_size - 3 * 4096))
    with sending(first) as sender:
        waiting.until(lambda: any(data.glob("*.damaged-*")), "the damage to be noticed")
        waiting.until(lambda: value(first, "ledger_up") == 1, "a ledger that works")
        sent = sender.finish()
        assert sender.refused == []
    assert calls.counted(first.metrics()) == calls.expected([*old, *sent])
    before = call_metrics(first)
    first.kill()
    assert call_metrics(exporter()) == before


def test_start_on_a_full_disk(exporter: StartExporter, tmp_path: Path) -> None:
    """With a full disk the totals are there, calls are counted, and all of it says so."""
    first = exporter()
    event = calls.ended_call(random.Random(1))
    assert first.send(event).status == 204
    assert first.stop() == 0
    with Exporter(tmp_path / "exporter", program=SMALL_FILES) as full:
        assert calls.counted(full.metrics()) == calls.expected([event])
        another = calls.ended_call(random.Random(2))
        assert [full.send(one).status for one in (event, another)] == [204, 204]
        assert calls.counted(full.metrics()) == calls.expected([event, another])
        assert value(full, "ledger_up") == 0
        assert full.ops.request("GET", "/-/healthy").status == 503
        assert any("not durable" in line["msg"] for line in full.log_lines())


@pytest.mark.program
def test_first_start_on_a_full_disk(tmp_path: Path) -> None:
    """Where no ledger can be made, calls are counted from memory."""
    with Exporter(tmp_path, program=SMALL_FILES) as full:
        event = calls.ended_call(random.Random(1))
        assert full.send(event).status == 204
        assert calls.counted(full.metrics()) == calls.expected([event])
        assert value(full, "ledger_up") == 0


def test_damaged_text(exporter: StartExporter, tmp_path: Path) -> None:
    """Bytes that are no text in one row neither stop the start nor get into the log."""
    data = tmp_path / "exporter" / "data"
    old = stored_calls(data, 20, now())
    database = sqlite3.connect(data / store.FILE)
    # As if this row had not been in the saved totals.
    text = (
        "UPDATE calls SET call_id = CAST(x'ff4142' AS TEXT) WHERE id = (SELECT max(id) FROM calls)"
    )
    assert database.execute(text).rowcount == 1
    database.commit()
    database.close()
    first = exporter()
    assert calls.counted(first.metrics()) == calls.expected(old)
    assert "AB" not in first.process.output()


def test_rename_after_a_crash(exporter: StartExporter) -> None:
    """Calls counted under an old name before a crash do not come again under the new one."""
    first = exporter(f"--labels.application={calls.APPLICATION}=support")
    dice = random.Random(1)
    for _ in range(3):
        first.send(calls.ended_call(dice))
    first.kill()
    second = exporter(f"--labels.application={calls.APPLICATION}=help")
    assert by_application(second) == {}
    second.send(calls.ended_call(dice))
    assert by_application(second) == {"help": 1}


def test_cap_lowered_after_a_crash(exporter: StartExporter) -> None:
    """Calls since the last saved totals are folded under the caps that they were counted under."""
    first = exporter()
    first.send(calls.ended_call(random.Random(1), cause="new-cause", direction="inbound"))
    first.kill()
    second = exporter("--labels.max-new-causes=0")
    assert calls.counted(second.metrics())["calls"] == {("inbound", "new-cause"): 1}


def test_no_zero_again(exporter: StartExporter) -> None:
    """A series that was scraped above 0 is not shown at 0 again after a kill -9."""
    hold = "--metrics.newborn-hold=2s"
    first = exporter(hold, f"--labels.application={calls.APPLICATION}=support")
    first.send(calls.ended_call(random.Random(1)))
    waiting.until(lambda: by_application(first, scrape=True), "the end of the hold")
    first.kill()
    second = exporter(hold, f"--labels.application={calls.APPLICATION}=support")
    assert by_application(second, scrape=True) == {"support": 1}


def test_fewer_error_ids(exporter: StartExporter) -> None:
    """A lower cap of error ids holds after a restart."""

    def shown(running: Exporter) -> int:
        names = {name for name, _ in running.metrics()}
        assert "bandwidth_voice_call_errors_total" in names
        return sum(
            len(dict(labels)["error_id"]) == len(calls.APPLICATION)
            for name, labels in running.metrics()
            if name == "bandwidth_voice_call_errors_total"
        )

    first = exporter("--errors.max-new-per-minute=100")
    dice = random.Random(1)
    for number in range(20):
        error_id = f"{number:08x}{calls.APPLICATION[8:]}"
        first.send(calls.ended_call(dice, cause="busy", errorId=error_id))
    assert shown(first) == 20
    first.stop()
    assert shown(exporter("--errors.max-ids=5")) == 5


def test_lost_lock(exporter: StartExporter, tmp_path: Path) -> None:
    """A lock that somebody deleted is taken anew, and nothing is lost."""
    first = exporter()
    lock = tmp_path / "exporter" / "data" / "lock"
    lock.unlink()
    waiting.until(lock.exists, "the lock")
    waiting.until(lambda: value(first, "ledger_up") == 1, "a ledger that works")
    event = calls.ended_call(random.Random(1))
    assert first.send(event).status == 204
    first.kill()
    assert calls.counted(exporter().metrics()) == calls.expected([event])


@pytest.mark.program
def test_a_reader_that_stays(tmp_path: Path) -> None:
    """A reader that stays makes the log long, which is said; no call goes for it."""
    data = tmp_path / "data"
    place = data / store.FILE
    program = hurried(tmp_path)
    kept = stored_calls(data, 1000, now())
    with Process([sys.executable, "-c", READER, str(place)], tmp_path / "reader") as reader:
        reader.wait_for_log("reading")
        with contextlib.closing(sqlite3.connect(place)) as busy:
            while Path(f"{place}-wal").stat().st_size < 17 * 1024**2:
                busy.execute("UPDATE calls SET received = received")
                busy.commit()
        with Exporter(tmp_path, "--storage.max-bytes=16MiB", program=program) as first:
            kept.append(calls.ended_call(random.Random(1)))
            assert first.send(kept[-1]).status == 204
            waiting.until(lambda: value(first, "ledger_wal_held") == 1, "word of the log")
            waiting.until(lambda: value(first, "ledger_rows") == len(kept), "the rows' number")
            assert value(first, "ledger_wal_bytes") > 17 * 1024**2
            assert "a reader of the ledger stays" in first.ops.request("GET", "/").text
            assert any("write-ahead log grows" in line["msg"] for line in first.log_lines())
            assert value(first, "ledger_up") == 1
            for kind in ("normal", "failure"):
                assert value(first, "ledger_pruned_rows_total", kind=kind) == 0
        with Exporter(tmp_path, "--storage.max-bytes=16MiB", program=program) as second:
            for event in kept[:20] + kept[-20:]:
                assert second.send(event).status == 204
            assert calls.counted(second.metrics()) == calls.expected(kept)
            reader.kill()
            waiting.until(lambda: value(second, "ledger_wal_held") == 0, "the end of it")
            waiting.until(lambda: value(second, "ledger_wal_bytes") < 1024**2, "a short log")


@pytest.mark.program
def test_a_clock_that_is_set(tmp_path: Path) -> None:
    """Five minutes back, or nine days ahead for a moment: no call goes, and each step is told."""
    old = stored_calls(tmp_path / "data", 30, now() - DAY // 2)
    dice = random.Random(1)
    with Exporter(tmp_path, program=hurried(tmp_path)) as first:
        young = [calls.ended_call(dice) for _ in range(10)]
        assert {first.send(event).status for event in young} == {204}
        for number, seconds in enumerate((-300, 0, 9 * 86400, 0), 1):
            set_ahead(tmp_path, seconds)
            first.process.wait_until(lambda: told(first) == number, "word of the clock")  # noqa: B023  # at once
        assert value(first, "ledger_rows") == 40
        for kind in ("normal", "failure"):
            assert value(first, "ledger_pruned_rows_total", kind=kind) == 0
        assert calls.counted(first.metrics()) == calls.expected(old + young)


def told(exporter: Exporter) -> int:
    """How often an exporter has said that its clock was set."""
    return sum("the clock was set" in line["msg"] for line in exporter.log_lines())
