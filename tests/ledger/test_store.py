"""Whether a leg is new, as the store says: for as long as its row is kept, whatever happened."""

import os
import random
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.ledger import database, fingerprints, pieces
from bandwidth_voice_exporter.ledger.database import DamagedError
from bandwidth_voice_exporter.ledger.store import FILE, Saved, Store
from bandwidth_voice_exporter.ledger.upkeep import Retention, Upkeep
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Instruments
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ended import ended
from testkit.ledgers import older_ledger

START = 1_772_366_400 * SECOND


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a piece be made of a hundred rows, and written in several parts."""
    monkeypatch.setattr(fingerprints, "_SEAL", 100)
    monkeypatch.setattr(pieces, "_PART", 10_000)


def some_calls(number: int, *, seed: int = 1, **fields: object) -> list[CallEnded]:
    """Calls a second apart, one in three a failure, a few second legs and a few without an id."""
    dice = random.Random(seed)
    calls = []
    for row in range(number):
        is_failure = row % 3 == 0
        call = ended(
            received=START + row * SECOND,
            event_type="transferDisconnect" if row % 10 == 9 else "disconnect",
            call_id=None if row % 50 == 49 else f"c-{uuid.UUID(int=dice.getrandbits(128))}",
            sip_call_id=f"{dice.getrandbits(64):x}@192.0.2.1",
            application=str(uuid.UUID(int=1)),
            cause="busy" if is_failure else "hangup",
            answered=not is_failure,
            error_id=str(uuid.UUID(int=dice.getrandbits(128))) if is_failure else None,
        )
        calls.append(msgspec.structs.replace(call, **fields))
    return calls


def append(ledger: Store, calls: list[CallEnded], *, tidy: bool = True) -> list[bool]:
    """Append calls, ten in a commit, as the rows that follow; do meanwhile what can wait."""
    is_new = []
    for start in range(0, len(calls), 10):
        is_new += ledger.append(ledger.last_row() + 1, calls[start : start + 10])
        while tidy and ledger.tidy():
            pass
    return is_new


def are_legs(calls: list[CallEnded]) -> list[bool]:
    """Which calls can be recognised."""
    return [call.call_id is not None for call in calls]


def test_a_redelivery_is_recognised_after_a_restart(tmp_path: Path) -> None:
    """Each leg is new once, whatever else a redelivery says, and in every start after it."""
    calls = some_calls(800)
    with closing(Store(tmp_path / FILE)) as ledger:
        assert all(append(ledger, calls))
    changed = [msgspec.structs.replace(call, cause="timeout", received=1) for call in calls]
    for again in (calls, changed):
        with closing(Store(tmp_path / FILE)) as ledger:
            rows = ledger.rows()
            assert append(ledger, again) == [not is_leg for is_leg in are_legs(again)]
            assert ledger.rows() == rows + are_legs(again).count(False)


def test_a_leg_counts_once_in_a_commit(tmp_path: Path) -> None:
    """Of a leg that comes twice in one commit the first is new."""
    one, other = some_calls(2)
    with closing(Store(tmp_path / FILE)) as ledger:
        assert ledger.append(1, [one, other, one, other]) == [True, True, False, False]
        assert [call for _, call in ledger.calls_after(0)] == [one, other]


def test_two_event_types_are_two_legs(tmp_path: Path) -> None:
    """A call and the second leg of the same id are both new."""
    (one,) = some_calls(1)
    leg = msgspec.structs.replace(one, event_type="transferDisconnect")
    with closing(Store(tmp_path / FILE)) as ledger:
        assert append(ledger, [one, leg]) == [True, True]
        assert append(ledger, [leg, one]) == [False, False]


def test_equal_fingerprints_are_compared_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Legs that have one fingerprint are told apart by what their rows say."""
    monkeypatch.setattr("bandwidth_voice_exporter.ledger.legs.fingerprint", lambda *_: 7)
    calls = [call for call in some_calls(60) if call.call_id]
    with closing(Store(tmp_path / FILE)) as ledger:
        assert all(append(ledger, calls))
        assert not any(append(ledger, calls))


def test_rows_come_back_in_their_order(tmp_path: Path) -> None:
    """The same calls are read back, failed or not, in the order of their rows."""
    calls = some_calls(300)
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls)
        assert list(ledger.calls_after(0)) == list(enumerate(calls, 1))
        assert list(ledger.calls_after(120)) == list(enumerate(calls, 1))[120:]
        assert ledger.last_row() == 300


def test_a_row_that_is_pruned_is_new_again(tmp_path: Path) -> None:
    """A leg is recognised until its own row goes; a piece goes with the last of its rows."""
    calls = some_calls(1000)
    until = calls[600].received
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls)
        ledger.save(Saved(1000, b"state"))
        for kind in ("normal", "failure"):
            while ledger.prune(kind, until, START + 10**12, 1000).has_more:
                pass
        while ledger.tidy():
            pass
        kept = ledger.rows()
        assert 400 <= kept <= 410
    with closing(Store(tmp_path / FILE)) as ledger:
        assert ledger.rows() == kept
        is_new = append(ledger, calls)
        assert all(is_new[:590])
        assert is_new[610:] == [not is_leg for is_leg in are_legs(calls[610:])]
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        pieces_left = "SELECT count(*) FROM pieces WHERE last < 300"
        assert file.execute(pieces_left).fetchone() == (0,)
        strays = "SELECT count(*) FROM parts WHERE (run, first, last) NOT IN "
        strays += "(SELECT run, first, last FROM pieces)"
        assert file.execute(strays).fetchone() == (0,)


def test_what_the_saved_totals_are_without_is_not_pruned(tmp_path: Path) -> None:
    """Rows after the last saved one stay, however old."""
    calls = some_calls(100)
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls)
        ledger.prune("normal", START + 10**12, START + 10**12, 50)
        ledger.prune("failure", START + 10**12, START + 10**12, 50)
        assert [row for row, _ in ledger.calls_after(0)] == list(range(51, 101))


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_fingerprints_are_made_again(tmp_path: Path, damage: str) -> None:
    """A piece that is not what it was is not believed: the rows are."""
    calls = some_calls(1200)
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls)
    statement = {
        "changed": "UPDATE parts SET packed = zeroblob(length(packed)) WHERE first < 200",
        "gone": "DELETE FROM parts WHERE first < 200",
    }[damage]
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        assert file.execute(statement).rowcount > 0
    for _ in range(2):
        with closing(Store(tmp_path / FILE)) as ledger:
            again = [call for call in calls if call.call_id]
            assert not any(append(ledger, again))


def test_a_damaged_batch_is_damage(tmp_path: Path) -> None:
    """Calls that cannot be read any more are not passed over in silence, nor quoted."""
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, some_calls(30))
        with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
            file.execute("UPDATE bodies SET calls = substr(calls, 2)")
        with pytest.raises(DamagedError, match="the batch of row 2 is damaged"):
            list(ledger.calls_after(0))


def test_an_older_ledger_is_moved_in_steps(tmp_path: Path) -> None:
    """While rows are moved, and after, every leg is known, in whatever state a start finds it."""
    calls = some_calls(1500)
    older_ledger(tmp_path / FILE, calls, version=4, saved=Saved(1490, b"state"))
    later = some_calls(200, seed=2)
    for steps in (0, 1, 2, 3, 1000):
        with closing(Store(tmp_path / FILE)) as ledger:
            if not steps:
                assert list(ledger.calls_after(1490)) == list(enumerate(calls, 1))[1490:]
                assert all(append(ledger, later[:100], tidy=False))
            for _ in range(steps):
                ledger.tidy()
            legs = [call for call in calls + later[:100] if call.call_id]
            assert not any(append(ledger, legs, tidy=False))
            assert ledger.rows() == 1600
            assert ledger.checkpoint() == Saved(1490, b"state")
    with closing(Store(tmp_path / FILE)) as ledger:
        assert list(ledger.calls_after(0)) == list(enumerate(calls + later[:100], 1))
        assert all(append(ledger, later[100:]))
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT 1 FROM calls WHERE cause = 'hangup'").fetchall() == []
        find = "SELECT 1 FROM sqlite_master WHERE name = 'calls_by_call_id'"
        assert file.execute(find).fetchall() == []


def test_older_rows_are_pruned_once_they_are_moved(tmp_path: Path) -> None:
    """Retention passes none of the rows that are still to be moved."""
    calls = some_calls(900)
    older_ledger(tmp_path / FILE, calls, version=4, saved=Saved(900, b"state"))
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, some_calls(50, seed=2, received=START + 10**9), tidy=False)
        end = START + 10**8 * 9
        for _ in range(20):
            ledger.prune("normal", end, START + 10**12, 950)
            ledger.prune("failure", end, START + 10**12, 950)
            ledger.tidy()
        assert ledger.rows() == 50


def test_an_older_ledger_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """Where nothing can be made, an older ledger gives its rows, and knows its legs."""
    calls = some_calls(300)
    older_ledger(tmp_path / FILE, calls, version=4, saved=Saved(290, b"state"))
    with closing(Store(tmp_path / FILE, read_only=True)) as ledger:
        assert ledger.checkpoint() == Saved(290, b"state")
        assert list(ledger.calls_after(290)) == list(enumerate(calls, 1))[290:]
        assert ledger.rows() == 300
        assert [ledger.has(call) for call in calls] == are_legs(calls)


def test_a_new_ledger_knows_what_was_counted_before(tmp_path: Path) -> None:
    """A ledger that was lost in mid-run is new on the disk; its legs are known all the same."""
    calls = some_calls(400)
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls)
    with closing(Store(tmp_path / "other", ledger.fingerprints)) as other:
        later = some_calls(400, seed=2)
        legs = [call for call in calls + later if call.call_id]
        assert all(
            other.append(401 + number, [call]) == [True] for number, call in enumerate(later)
        )
        while other.tidy():
            pass
        assert not any(other.append(801, legs))
    with closing(Store(tmp_path / "other")) as alone:
        assert not any(append(alone, [call for call in later if call.call_id]))
        assert all(append(alone, calls))


def test_a_commit_that_failed_may_be_there(tmp_path: Path) -> None:
    """A call on the disk is not new, even if the store's fingerprints do not have it."""
    calls = some_calls(40)
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, calls[:20])
        with closing(Store(tmp_path / FILE)) as same:
            append(same, calls[20:])
    with closing(Store(tmp_path / FILE, ledger.fingerprints)) as again:
        assert not any(again.append(41, [call for call in calls if call.call_id]))


def test_without_the_disk_the_fingerprints_tell(tmp_path: Path) -> None:
    """Where the rows cannot be read a leg that has its fingerprint there is known."""
    calls = some_calls(40)
    ledger = Store(tmp_path / FILE)
    append(ledger, calls)
    ledger.close()
    assert [ledger.has(call) for call in calls] == are_legs(calls)
    assert not any(ledger.has(call) for call in some_calls(40, seed=2))


@pytest.mark.program
def test_a_commit_makes_no_file_of_its_own(tmp_path: Path) -> None:
    """However many failures a commit has, it makes no file beside the ledger's."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = temporary.stat().st_mtime_ns
    program = "\n".join(
        (
            "from pathlib import Path",
            "from bandwidth_voice_exporter.ledger.store import Store",
            "from tests.ledger.test_store import some_calls",
            f"store = Store(Path({str(tmp_path / FILE)!r}))",
            "calls = some_calls(900)",
            "for start in range(0, 900, 300):",
            "    store.append(start + 1, calls[start : start + 300])",
            "print(store.rows())",
        )
    )

    output = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "SQLITE_TMPDIR": str(temporary)},
        check=True,
        capture_output=True,
    ).stdout

    assert int(output) == 900
    assert temporary.stat().st_mtime_ns == before


def test_a_held_log_is_not_made_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a reader stays no rows of an older ledger are moved; once it is gone they are."""
    monkeypatch.setattr(database, "_LONG_LOG", 0)
    calls = some_calls(900)
    older_ledger(tmp_path / FILE, calls, version=4, saved=Saved(900, b"state"))
    retention = Retention({"normal": 2**62, "failure": 2**62}, 2**40)
    keep_up = Upkeep(retention, Instruments().ledger, Log())
    with closing(Store(tmp_path / FILE)) as ledger:
        append(ledger, some_calls(1, seed=2), tidy=False)
        with closing(sqlite3.connect(tmp_path / FILE)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM calls").fetchall()
            append(ledger, some_calls(1, seed=3), tidy=False)
            for _ in range(10):
                keep_up.step(ledger, START, 900, is_sure=True)
            assert moved(tmp_path / FILE) == 0
        while keep_up.step(ledger, START, 900, is_sure=True):
            pass
        assert moved(tmp_path / FILE) == 900
        assert ledger.rows() == 902


def moved(path: Path) -> int:
    """How many rows of an older ledger are moved."""
    with closing(sqlite3.connect(path)) as file:
        return int(file.execute("SELECT older_moved FROM ledger").fetchone()[0])
