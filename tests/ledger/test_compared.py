"""The ledger answers a comparison with another list of calls, and keeps its notes."""

import random
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.opening import looked_into
from bandwidth_voice_exporter.ledger.reader import LocalReader
from bandwidth_voice_exporter.ledger.store import FILE, Store
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ledgers import a_call, older_ledger

START = 1_772_366_400 * SECOND


def some(number: int, seed: int = 1) -> list[CallEnded]:
    """Calls, failures and second legs among them, one in ten without a webhook."""
    dice = random.Random(seed)
    made = [a_call(dice, START + row * SECOND) for row in range(number)]
    return [
        msgspec.structs.replace(call, is_reconciled=row % 10 == 0) for row, call in enumerate(made)
    ]


def legs(calls: list[CallEnded]) -> list[tuple[str, str]]:
    """The event type and id of each call, by which the ledger is asked for it."""
    return [(call.event_type, str(call.call_id)) for call in calls]


def test_calls_are_found_with_their_source(tmp_path: Path) -> None:
    """Of many legs those are found that are there, and whether a webhook told of each."""
    fingerprints = Fingerprints()
    there, others = some(700), some(100, seed=2)
    with closing(Store(tmp_path / FILE, fingerprints)) as ledger:
        ledger.append(1, there[:300])
        ledger.append(301, there[300:])
        found = LocalReader(tmp_path / FILE, fingerprints).find(legs(others + there))
        assert found == {
            leg: call.is_reconciled for leg, call in zip(legs(there), there, strict=True)
        }
    assert looked_into(tmp_path).find(legs(there)) == found


def test_the_source_stays_with_the_call(tmp_path: Path) -> None:
    """A call comes back after a restart as what it was recorded."""
    calls = some(50)
    with closing(Store(tmp_path / FILE)) as ledger:
        ledger.append(1, calls)
    with closing(Store(tmp_path / FILE)) as ledger:
        assert [call for _, call in ledger.calls_after(0)] == calls


@pytest.mark.parametrize("version", [1, 2, 4, 5])
def test_an_older_ledger_has_webhooks_alone(tmp_path: Path, version: int) -> None:
    """In a ledger from before every call was told of by a webhook, written again or only read."""
    calls = [msgspec.structs.replace(call, is_reconciled=False) for call in some(40)]
    older_ledger(tmp_path / FILE, calls, version=version)
    with closing(Store(tmp_path / FILE, read_only=True)) as ledger:
        assert [call for _, call in ledger.calls_after(0) if call.cause != "hangup"] == [
            call for call in calls if call.cause != "hangup"
        ]
    with closing(Store(tmp_path / FILE)) as ledger:
        while ledger.tidy():
            pass
        assert [call for _, call in ledger.calls_after(0)] == calls
        assert ledger.note("anything") is None


def test_notes_are_kept(tmp_path: Path) -> None:
    """The last note of a name is there after a restart, others are not touched."""
    with closing(Store(tmp_path / FILE)) as ledger:
        ledger.put_note("one", b"1")
        ledger.put_note("two", b"2")
        ledger.put_note("one", b"3")
    with closing(Store(tmp_path / FILE)) as ledger:
        assert [ledger.note(name) for name in ("one", "two", "three")] == [b"3", b"2", None]


@pytest.mark.parametrize("is_normal", [False, True])
def test_what_it_cannot_tell_of(tmp_path: Path, *, is_normal: bool) -> None:
    """It is told when the oldest row was received, and until when calls may be missing."""
    fingerprints = Fingerprints()
    reader = LocalReader(tmp_path / FILE, fingerprints)
    with closing(Store(tmp_path / FILE, fingerprints)) as ledger:
        bounds = reader.bounds()
        assert (bounds.first, bounds.doubted) == (None, 0)
        calls = some(100)
        kinds = [call.cause == "hangup" for call in calls]
        calls = calls[kinds.index(is_normal) :]
        ledger.append(1, calls)
        ledger.doubt(START)
        bounds = reader.bounds()
        assert (bounds.first, bounds.doubted) == (calls[0].received, START)
