"""Which error ids get a series of their own."""

import pytest

from bandwidth_voice_exporter.metrics.error_ids import MINUTE, ErrorIds, Key

AT = 29_000_000 * MINUTE
HOLD = 130_000_000


def key(number: int, cause: str = "busy") -> Key:
    """A label set with an error id of its own."""
    return ("inbound", cause, f"E-{number}")


def storm(ids: ErrorIds, cause: str, at: int, size: int = 1000, first: int = 0) -> int:
    """How many of so many new ids of a cause are admitted at a time."""
    return sum(ids.admit(key(first + number, cause), cause, at) for number in range(size))


def full(at: int = AT, cap: int = 3, *, min_age: int = HOLD) -> ErrorIds:
    """Ids at their cap, all of them born at a time."""
    ids = ErrorIds(cap, 100, min_age)
    assert storm(ids, "busy", at, cap) == cap
    return ids


def test_first_id_of_every_cause() -> None:
    """The first ids that come have a series."""
    ids = ErrorIds(100, 10, HOLD)
    assert [storm(ids, cause, AT, 1) for cause in ("busy", "error", "timeout")] == [1, 1, 1]


def test_at_most_so_many_a_minute() -> None:
    """However many causes come in a minute, no more ids than allowed are admitted."""
    ids = ErrorIds(1000, 10, HOLD)
    assert sum(storm(ids, f"cause-{number}", AT) for number in range(50)) == 10


@pytest.mark.parametrize("per_minute", [0, 1, 2, 3, 10, 11])
def test_storm_leaves_room(per_minute: int) -> None:
    """A storm of one cause takes half of a minute's allowance, and another cause gets its share."""
    ids = ErrorIds(1000, per_minute, HOLD)
    own = storm(ids, "busy", AT)
    assert own == (per_minute + 1) // 2
    assert storm(ids, "error", AT) == (per_minute - own + 1) // 2


def test_next_minute_begins_anew() -> None:
    """A minute later the allowance is whole again, and not before."""
    ids = ErrorIds(1000, 2, HOLD)
    assert storm(ids, "busy", AT) == 1
    assert storm(ids, "busy", AT + MINUTE - 1) == 0
    assert storm(ids, "busy", AT + MINUTE) == 1


def test_refused_id_takes_nothing() -> None:
    """An id that was refused is not remembered."""
    ids = ErrorIds(1000, 1, HOLD)
    assert storm(ids, "busy", AT) == 1
    assert list(ids.births) == [key(0)]


def test_young_ids_are_not_given_up() -> None:
    """At the cap a new id is refused as long as the oldest is younger than the least age."""
    ids = full()
    assert not ids.admit(key(9), "busy", AT + HOLD - 1)
    assert ids.surplus() is None


def test_old_ids_make_room() -> None:
    """At the cap a new id replaces the oldest that has been seen for long enough, one for one."""
    ids = full()
    assert ids.admit(key(9), "busy", AT + HOLD)
    assert ids.surplus() == key(0)
    assert ids.surplus() is None
    assert list(ids.births) == [key(1), key(2), key(9)]


def test_no_surplus_below_the_cap() -> None:
    """Nothing is given up where there is room."""
    ids = ErrorIds(3, 10, HOLD)
    assert ids.admit(key(1), "busy", AT)
    assert ids.surplus() is None


def test_cap_of_zero() -> None:
    """A cap of 0 admits no id, ever."""
    ids = ErrorIds(0, 10, 0)
    assert storm(ids, "busy", AT) == 0
    assert ids.surplus() is None


def test_clock_set_back() -> None:
    """Ids born in what is the future now, after a clock was set back, do not block new ones."""
    ids = full()
    assert ids.admit(key(9), "busy", AT - 24 * 60 * MINUTE)
