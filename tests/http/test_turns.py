"""Turns at being read: one after the other, and no more of them than there is time for."""

import asyncio
import time

from bandwidth_voice_exporter.http.turns import Turns


class Client:
    """Takes note of its turns; each takes some time, and then it waits for the next."""

    def __init__(self, turns: Turns, taken: list[str], name: str, seconds: float) -> None:
        self._turns = turns
        self._taken = taken
        self._name = name
        self._seconds = seconds

    def take_turn(self) -> None:
        """Use up some time."""
        began = time.perf_counter() - self._seconds
        self._taken.append(self._name)
        self._turns.spend(began)
        self._turns.wait(self)


async def turns_in(seconds: float, cost: float, names: str) -> list[str]:
    """Whose turn it was, in some seconds in which each turn cost so many."""
    turns, taken = Turns(), list[str]()
    for name in names:
        turns.wait(Client(turns, taken, name, cost))
    await asyncio.sleep(seconds)
    turns.close()
    return taken


def test_turns_go_round() -> None:
    """Who comes back for more waits behind those who wait."""
    taken = asyncio.run(turns_in(0.3, 0.0, "abc"))
    assert len(taken) > 3
    assert "".join(taken) == ("abc" * len(taken))[: len(taken)]


def test_turns_leave_time_for_others() -> None:
    """All turns together take a quarter of the time, whatever one of them costs."""
    taken = asyncio.run(turns_in(0.5, 0.02, "abcdefgh"))
    assert 1 < len(taken) <= 0.5 / (0.02 * 4) + 2


def test_the_longest_wait_has_an_end() -> None:
    """However much was spent before, the next turn comes."""
    taken = asyncio.run(turns_in(1, 60.0, "ab"))
    assert {"a", "b"} <= set(taken)
