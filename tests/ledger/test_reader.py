"""Finding calls in the ledger's database, beside the store that writes it."""

import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandwidth_voice_exporter.ledger import failures, reader, store
from bandwidth_voice_exporter.ledger.fingerprints import Fingerprints
from bandwidth_voice_exporter.ledger.look import ReadError, SlowError
from bandwidth_voice_exporter.ledger.query import ID_COLUMNS, OLDEST, Place, Query
from bandwidth_voice_exporter.ledger.reader import LocalReader
from bandwidth_voice_exporter.ledger.store import Store
from bandwidth_voice_exporter.voice.call import CallEnded
from bandwidth_voice_exporter.voice.clock import SECOND
from testkit.ended import ended
from testkit.ledgers import older_ledger

START = 1_772_366_400 * SECOND
APPLICATIONS = tuple(str(uuid.UUID(int=number)) for number in range(1, 4))
CAUSES = ("hangup", "hangup", "busy", "timeout", "account-limit", "brand-new", "missing")
DIRECTIONS = ("inbound", "outbound", "missing")
ROWS = 3000  # in more than one thousand

Rows = dict[Place, CallEnded]


def a_call(dice: random.Random, received: int, **fields: object) -> CallEnded:
    """A call of any kind; ids come from few, so that several calls have the same."""
    cause = dice.choice(CAUSES)
    is_answered = dice.random() < 0.5
    call = ended(
        received=received,
        call_id=f"c-{dice.getrandbits(64):x}",
        parent_call_id=f"parent-{dice.randrange(50)}" if dice.random() < 0.1 else None,
        sip_call_id=f"sip-{dice.randrange(2000)}" if dice.random() < 0.5 else None,
        application=dice.choice(APPLICATIONS),
        direction=dice.choice(DIRECTIONS),
        cause=cause,
        answered=is_answered,
        error_id=f"error-{dice.randrange(1000)}" if cause != "hangup" else None,
        talk=SECOND if is_answered else None,
    )
    return msgspec.structs.replace(call, **fields)


def a_reader(path: Path) -> LocalReader:
    """One of a ledger that is not open."""
    ledger = Store(path)
    ledger.close()
    # Not its own second: what is found does not depend on how busy the machine is.
    return LocalReader(path, ledger.fingerprints, seconds=60)


def written(path: Path, calls: Sequence[CallEnded]) -> Rows:
    """Calls in a ledger, by their places."""
    ledger = Store(path)
    ledger.append(1, calls)
    ledger.close()
    return {Place(call.received, row): call for row, call in enumerate(calls, 1)}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalReader, Rows]:
    """A ledger of ROWS calls, some received in the same microsecond, some after a clock's step."""
    path = tmp_path_factory.mktemp("reader") / store.FILE
    dice = random.Random(7)
    times = [
        START + (row // 3) * SECOND - (500 * SECOND if row > 2000 else 0) for row in range(ROWS)
    ]
    rows = written(path, [a_call(dice, received) for received in times])
    return a_reader(path), rows


def expected(rows: Rows, query: Query) -> list[Place]:
    """The places that a query should find, newest first, found by looking at every call."""
    is_wanted: Callable[[CallEnded], bool] = (
        (lambda _: True) if query.ids else (lambda call: call.cause != "hangup")
    )
    return sorted(
        (
            place
            for place, call in rows.items()
            if is_wanted(call)
            and (query.wants(place, call) if query.ids else kind_and_time(query, place, call))
        ),
        reverse=True,
    )


def kind_and_time(query: Query, place: Place, call: CallEnded) -> bool:
    """Whether a call matches a query without ids."""
    low, high = query.bounds
    return low < place < high and query.wants_kind(call.cause, call.application, call.direction)


def walked(look: LocalReader, query: Query, *, backwards: bool) -> list[Place]:
    """All pages of a query, from the newest on or from the oldest on, newest first."""
    found: list[Place] = []
    query = msgspec.structs.replace(query, newer=OLDEST if backwards else None)
    while True:
        page = look.page(query)
        places = [place for place, _ in page.calls]
        assert len(places) <= query.limit
        found = places + found if backwards else found + places
        following = page.newer if backwards else page.older
        if following is None:
            return found
        query = msgspec.structs.replace(query, **{"newer" if backwards else "older": following})


QUERIES = st.builds(
    Query,
    causes=st.sampled_from(((), ("busy",), ("account-limit", "brand-new"), ("hangup",), ("no",))),
    fault_domains=st.sampled_from(((), ("user",), ("unclassified",), ("account", "bandwidth"))),
    applications=st.sampled_from(((), APPLICATIONS[:1], APPLICATIONS[1:])),
    directions=st.sampled_from(((), ("inbound",), ("missing", "outbound"))),
    since=st.none() | st.integers(START, START + ROWS * SECOND // 3),
    until=st.none() | st.integers(START, START + ROWS * SECOND // 3),
    ids=st.sampled_from(
        (
            *({}, {}, {}, {"sip_call_id": "sip-17"}, {"parent_call_id": "parent-3"}),
            {"error_id": "error-5", "sip_call_id": "sip-1"},
        )
    ),
    limit=st.sampled_from((60, 1000)),
)


@settings(max_examples=60)
@given(query=QUERIES, backwards=st.booleans())
def test_pages_hold_what_matches_and_nothing_twice(
    ledger: tuple[LocalReader, Rows], query: Query, *, backwards: bool
) -> None:
    """The pages in either direction hold each matching call once, in order."""
    look, rows = ledger
    assert walked(look, query, backwards=backwards) == expected(rows, query)


@pytest.mark.parametrize("column", ID_COLUMNS)
def test_an_id_finds_calls_that_ended_normally_too(tmp_path: Path, column: str) -> None:
    """Each kind of id finds the calls that have it, failed or not, by its own name and by q."""
    dice = random.Random(1)
    calls = [a_call(dice, START + row, cause="hangup") for row in range(1500)]
    calls[3] = msgspec.structs.replace(calls[3], **{column: "this-one"})
    rows = written(tmp_path / store.FILE, calls)
    look = a_reader(tmp_path / store.FILE)
    wanted = next(place for place in rows if place.row == 4)
    for query in (
        Query(ids={column: "this-one"}),
        Query(ids=dict.fromkeys(ID_COLUMNS, "this-one"), is_any_id=True),
    ):
        assert look.page(query).calls == ((wanted, rows[wanted]),)
    assert look.page(Query(ids={column: "this-on"})).calls == ()


def test_an_id_of_very_many_calls_says_so(tmp_path: Path) -> None:
    """Of an id that more than a thousand calls have the newest are shown, and that it is cut."""
    dice = random.Random(1)
    calls = [a_call(dice, START + row, sip_call_id="same") for row in range(2500)]
    written(tmp_path / store.FILE, calls)
    page = a_reader(tmp_path / store.FILE).page(Query(ids={"sip_call_id": "same"}, limit=10))
    assert page.is_cut
    assert page.calls[0][0].row > 1024


def test_what_is_written_is_found_at_once(tmp_path: Path) -> None:
    """A call that the store has committed is on the next page that is asked for."""
    ledger = Store(tmp_path / store.FILE)
    look = LocalReader(tmp_path / store.FILE, ledger.fingerprints, seconds=60)
    assert look.page(Query()).calls == ()
    ledger.append(1, [a_call(random.Random(1), START, cause="busy")])
    assert len(look.page(Query()).calls) == 1
    ledger.close()


def test_a_question_is_over_in_its_time(tmp_path: Path) -> None:
    """A query that takes too long is given up, and holds up no later checkpoint."""
    ledger = Store(tmp_path / store.FILE)
    dice = random.Random(1)
    ledger.append(1, [a_call(dice, START + row, cause="busy") for row in range(5000)])
    ticks = count()  # a clock that goes on by a second whenever it is looked at
    slow = LocalReader(
        tmp_path / store.FILE,
        ledger.fingerprints,
        seconds=3,
        monotonic=lambda: float(next(ticks)),
    )
    with pytest.raises(SlowError):
        slow.page(Query(ids=dict.fromkeys(ID_COLUMNS, "no"), is_any_id=True))
    with sqlite3.connect(tmp_path / store.FILE) as other:
        busy, in_log, copied = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert (busy, in_log, copied) == (0, 0, 0)
    ledger.close()


def test_one_statement_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single statement that would run for minutes is ended in its midst."""
    written(tmp_path / store.FILE, [])
    endless = (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT max(x), 1 FROM n LIMIT 1"
    )
    monkeypatch.setattr(reader, "_BATCHES_BY_HASH", f"{endless} + 0 * length(?)")
    slow = LocalReader(tmp_path / store.FILE, Fingerprints(), seconds=0.1)
    began = time.monotonic()
    with pytest.raises(SlowError):
        slow.page(Query(ids={"sip_call_id": "x"}))
    assert time.monotonic() - began < 5


def test_too_many_kinds_are_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where made-up causes abound a filter by direction gives up, one by cause still answers."""
    monkeypatch.setattr(failures, "_MOST_KINDS", 20)
    dice = random.Random(1)
    calls = [
        a_call(dice, START + n, cause=f"made-up-{chr(97 + n % 26)}{n // 26}") for n in range(60)
    ]
    written(tmp_path / store.FILE, calls)
    look = a_reader(tmp_path / store.FILE)
    with pytest.raises(SlowError):
        look.page(Query(directions=("inbound",)))
    assert len(look.page(Query(causes=("made-up-a0",))).calls) == 1
    assert len(look.page(Query(limit=100)).calls) == 60


def test_without_a_ledger_there_is_an_error(tmp_path: Path) -> None:
    """A file that is missing, or is no database, is an error with a reason."""
    with pytest.raises(ReadError):
        LocalReader(tmp_path / "none", Fingerprints()).page(Query())
    (tmp_path / store.FILE).write_bytes(b"not a database" * 500)
    with pytest.raises(ReadError, match="not a database"):
        LocalReader(tmp_path / store.FILE, Fingerprints()).page(Query())


def test_an_older_ledger_gets_its_indexes(tmp_path: Path) -> None:
    """Calls in a ledger without the indexes are found once this version has opened it."""
    dice = random.Random(3)
    calls = [a_call(dice, START + row) for row in range(300)]
    older_ledger(tmp_path / store.FILE, calls, version=2)
    look = LocalReader(tmp_path / store.FILE, Fingerprints())
    with pytest.raises(ReadError):
        look.page(Query())
    rows = {Place(call.received, row): call for row, call in enumerate(calls, 1)}
    assert walked(a_reader(tmp_path / store.FILE), Query(), backwards=False) == expected(
        rows, Query()
    )


def test_each_statement_uses_an_index(ledger: tuple[LocalReader, Rows]) -> None:
    """No question walks the table: SQLite's plan of each statement names an index or a row."""
    look, _ = ledger
    statements: list[tuple[str, Sequence[object]]] = []
    with look._looking() as one:  # noqa: SLF001  # its statements are what is looked at
        connection = one.connection
        connection.set_trace_callback(lambda text: statements.append((text, ())))
        failures.page(one, Query(directions=("inbound",)))  # as above
        failures.page(one, Query())  # as above
        look._with_ids(  # noqa: SLF001  # as above
            one, Query(ids=dict.fromkeys(ID_COLUMNS, "x"), is_any_id=True)
        )
        connection.set_trace_callback(None)
        assert len(statements) > 10
        for text, _ in statements:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
            assert not [step for step in plan if step.startswith("SCAN calls")], (text, plan)
            assert not [step for step in plan if "TEMP B-TREE" in step], (text, plan)


def test_minutes_are_counted_as_they_were_received(ledger: tuple[LocalReader, Rows]) -> None:
    """Every minute between two times has its disconnect events by cause, empty ones too."""
    look, rows = ledger
    minute = 60 * SECOND
    since, before = START // minute * minute - minute, START + 400 * SECOND
    counts = look.minutes(since, before, 10)
    assert sorted(counts) == list(range(since // minute, before // minute + 1))
    assert counts[since // minute] == {}
    for number, causes in counts.items():
        found: dict[str, int] = {}
        for call in rows.values():
            if call.received // minute == number and call.received < before:
                found[call.cause] = found.get(call.cause, 0) + 1
        assert causes == found


def test_minutes_that_were_not_looked_at_are_left_out(
    ledger: tuple[LocalReader, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the time does not suffice the minutes that are there are whole."""
    look, _ = ledger
    monkeypatch.setattr(reader, "_COUNTED_AT_ONCE", 500)
    since, before = START, START + 3000 * SECOND
    whole = look.minutes(since, before, 10)
    part = look.minutes(since, before, 0)
    assert 0 < len(part) < len(whole)
