"""A ledger counts every call once, from whatever files a SIGKILL at any commit would leave.

The files hold all that a killed process has written, so the next start may as well find a copy of
them, made before or after a commit. A copy is faster than a kill: many more moments are tried.
"""

import random
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bandwidth_voice_exporter.ledger import fingerprints, older, pieces, pruning
from bandwidth_voice_exporter.ledger.database import Database
from bandwidth_voice_exporter.ledger.store import FILE, Saved, Store
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ledgers import a_call, older_ledger

START = 1_772_366_400 * SECOND
CRASHES = 8  # in a ledger's life
TURNS = 40  # at most between two
LIVES, SOAK_LIVES = 3, 200
PURPOSES = ("append", "append", "checkpoint", "prune", "piece", "piece", "older")

Leg = tuple[str, str]


class Crash(BaseException):
    """The process is gone."""


class Life:
    """A ledger, and what has been answered for; what a start makes of it must be just that."""

    def __init__(self, dice: random.Random, directory: Path) -> None:
        self.dice = dice
        self.directory = directory
        self.sent: list[CallEnded] = []
        self.in_flight: list[CallEnded] = []
        self.answered: set[Leg] = set()
        self.cutoff = START  # what was received before may be pruned
        self.now = START
        self.crashes = 0

    def begin(self) -> None:
        """Start with an older ledger, or with none."""
        directory = self.directory / "0"
        directory.mkdir()
        if self.dice.random() < 0.5:
            self.sent = [self.new_call() for _ in range(200)]
            self.answered = {leg(call) for call in self.sent}
            older_ledger(directory / FILE, self.sent, version=4)

    def new_call(self) -> CallEnded:
        """One received now."""
        self.now += SECOND
        return a_call(self.dice, self.now)

    def run(self) -> None:
        """Start, use it until it crashes, and check what is left, again and again."""
        while self.crashes < CRASHES:
            place = self.directory / str(self.crashes)
            with closing(Store(place / FILE)) as ledger:
                # Copies are made of what is written, whether it has reached the disk or not.
                ledger._database.write("PRAGMA synchronous = OFF")  # noqa: SLF001  # faster
                counted, last_row = self.started(ledger)
                try:
                    self.use(ledger, counted, last_row)
                except Crash:
                    self.crashes += 1
        with closing(Store(self.directory / str(self.crashes) / FILE)) as ledger:
            self.started(ledger)

    def started(self, ledger: Store) -> tuple[Counter[Leg], int]:
        """Fold what is there: all that was answered, once, and of the rest what was in flight."""
        saved = ledger.checkpoint()
        last_row = saved.last_row if saved else 0
        counted: Counter[Leg] = Counter()
        if saved:
            counted.update(map(tuple, msgspec.msgpack.decode(saved.state)))
        for row, call in ledger.calls_after(last_row):
            assert row > last_row
            last_row = row
            counted[leg(call)] += 1
        assert set(counted.values()) <= {1}
        assert self.answered <= counted.keys()
        assert counted.keys() <= self.answered | {leg(call) for call in self.in_flight}
        # As Bandwidth would, after a connection that broke.
        again = self.in_flight + self.some_again(20)
        is_new = ledger.append(last_row + 1, again)
        for call, new in zip(again, is_new, strict=True):
            assert new == (leg(call) not in counted)
            counted[leg(call)] = 1
        self.answered |= {leg(call) for call in self.in_flight}
        self.in_flight = []
        assert ledger.rows() == len(list(ledger.calls_after(0)))
        return counted, last_row + len(again)

    def some_again(self, number: int) -> list[CallEnded]:
        """Some of the calls that are not pruned, if there are so many."""
        kept = [call for call in self.sent if call.received >= self.cutoff]
        return self.dice.sample(kept, min(number, len(kept)))

    def use(self, ledger: Store, counted: Counter[Leg], last_row: int) -> None:
        """Let calls come, old ones again, and do all else that an exporter does."""
        saved_row = 0
        with dying(self):
            for _ in range(TURNS):
                self.in_flight = [self.new_call() for _ in range(self.dice.randint(1, 12))]
                self.sent += self.in_flight
                calls = self.in_flight + self.some_again(self.dice.randint(0, 5))
                self.dice.shuffle(calls)
                is_new = ledger.append(last_row + 1, calls)
                last_row += len(calls)
                for call, new in zip(calls, is_new, strict=True):
                    counted[leg(call)] += new
                assert set(counted.values()) == {1}
                self.answered |= {leg(call) for call in self.in_flight}
                self.in_flight = []
                if self.dice.random() < 0.3:
                    ledger.save(Saved(last_row, msgspec.msgpack.encode(list(counted))))
                    saved_row = last_row
                if self.dice.random() < 0.2 and saved_row:
                    self.cutoff = max(self.cutoff, self.now - 300 * SECOND)
                    for kind in ("normal", "failure"):
                        ledger.prune(kind, self.cutoff, self.now, saved_row)
                for _ in range(self.dice.randint(0, 6)):
                    ledger.tidy()
        self.leave(ledger.path.parent)  # the commit that was drawn did not come

    def leave(self, place: Path) -> None:
        """Crash, and let the files as they are be what the next start finds."""
        following = self.directory / str(self.crashes + 1)
        shutil.copytree(place, following)
        (following / f"{FILE}-shm").unlink(missing_ok=True)  # memory, which is gone
        raise Crash


def leg(call: CallEnded) -> Leg:
    """The event type and id by which a call is recognised."""
    return call.event_type, str(call.call_id)


class dying:  # noqa: N801  # used as a function
    """Meanwhile, copy the files around a commit that is drawn, and crash there."""

    def __init__(self, life: Life) -> None:
        self.life = life

    def __enter__(self) -> None:
        self.commit = commit = Database._commit  # noqa: SLF001  # what is broken here on purpose
        dice, life = self.life.dice, self.life
        wanted, nth = dice.choice(PURPOSES), dice.randint(1, 12)
        is_before = dice.random() < 0.5
        seen = 0

        def deadly(database: Database, of: str) -> None:
            nonlocal seen
            seen += of == wanted
            if seen < nth or of != wanted:
                commit(database, of)
                return
            if not is_before:
                commit(database, of)
            life.leave(database.path.parent)

        Database._commit = deadly  # type: ignore[method-assign,assignment]  # noqa: SLF001  # as above

    def __exit__(self, *_: object) -> None:
        Database._commit = self.commit  # type: ignore[method-assign]  # noqa: SLF001  # as above


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Many more lives with --soak."""
    if "seed" in metafunc.fixturenames:
        lives = SOAK_LIVES if metafunc.config.getoption("--soak") else LIVES
        metafunc.parametrize("seed", range(lives))


def test_every_call_is_counted_once_whatever_commit_was_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Through crash after crash, all that was answered is counted, and nothing of it twice."""
    monkeypatch.setattr(fingerprints, "_SEAL", 40)
    monkeypatch.setattr(pieces, "_PART", 20_000)
    monkeypatch.setattr(older, "_AT_ONCE", 30)
    monkeypatch.setattr(pruning, "_WALK", {"failure": 10, "normal": 3})
    life = Life(random.Random(seed), tmp_path)
    life.begin()
    life.run()
    assert life.crashes == CRASHES
