"""Turns at being read: by rank, so many at once, and then time for others."""

import asyncio
import time

import uvloop

from bandwidth_voice_exporter.http.turns import Rank, Turns

BUDGET, PAUSE = 0.002, 0.001  # seconds, as documented


class Scene:
    """Clients who take turns, each at a cost, and at once wait for the next."""

    def __init__(self, names: str, number: int, cost: float, rank: Rank) -> None:
        self.taken = ""
        self.is_over = asyncio.Event()
        self.turns = Turns()
        self.number = number
        self.cost = cost
        for name in names:
            self.turns.wait(Client(self, name, rank), rank)


class Client:
    """One of them."""

    def __init__(self, scene: Scene, name: str, rank: Rank) -> None:
        self._scene = scene
        self._name = name
        self._rank = rank

    def take_turn(self) -> None:
        """Use up some time."""
        scene = self._scene
        scene.taken += self._name
        scene.turns.charge(scene.cost)
        if len(scene.taken) < scene.number:
            scene.turns.wait(self, self._rank)
        else:
            scene.turns.close()
            scene.is_over.set()


def turns_of(names: str, number: int, cost: float) -> tuple[str, float]:
    """Whose turn it was until there were so many, and the seconds that took."""

    async def play() -> str:
        scene = Scene(names, number, cost, Rank.NEW)
        await asyncio.wait_for(scene.is_over.wait(), 20)
        return scene.taken

    began = time.perf_counter()
    return asyncio.run(play()), time.perf_counter() - began


def test_turns_go_round() -> None:
    """A client that comes back for another turn waits behind those that are waiting already."""
    taken, _ = turns_of("abc", 9, 0.0)
    assert taken == "abcabcabc"


def test_turns_leave_time_for_others() -> None:
    """Once what they cost is as much as there is at once, the event loop has a pause."""
    _, seconds = turns_of("ab", 21, BUDGET)
    assert seconds >= 20 * PAUSE * 0.9  # the event loop's clock goes by whole milliseconds


def test_turns_at_once_are_as_many_as_there_is_time_for() -> None:
    """However many wait, what is had at once costs no more than that and the last of it."""

    async def play() -> str:
        scene = Scene("abcdefghij", 30, BUDGET / 4, Rank.NEW)
        while not scene.taken:  # noqa: ASYNC110  # as soon as possible
            await asyncio.sleep(0)
        taken = scene.taken
        scene.turns.close()
        return taken

    assert asyncio.run(play()) == "abcd"


def test_what_was_spent_too_much_is_waited_for() -> None:
    """A turn that costs five times what may be spent at once is followed by five pauses."""
    _, seconds = turns_of("ab", 5, 5 * BUDGET)
    assert seconds >= 4 * 5 * PAUSE * 0.9


def test_the_longest_wait_has_an_end() -> None:
    """However much was spent before, the next turn comes."""
    taken, _ = turns_of("ab", 2, 60.0)
    assert taken == "ab"


def test_those_that_are_known_go_first_and_nobody_never() -> None:
    """Of each rank one has its turn, then all of the first one before more of the next."""

    async def play() -> str:
        scene = Scene("xyz", 9, 0.0, Rank.COSTLY)
        for rank, names in ((Rank.NEW, "pqr"), (Rank.KNOWN, "abc")):
            for name in names:
                scene.turns.wait(Client(scene, name, rank), rank)
        await asyncio.wait_for(scene.is_over.wait(), 20)
        return scene.taken

    assert asyncio.run(play()) == "apxbcaqrp"


def test_a_client_alone_is_read_at_once() -> None:
    """Even a costly one waits only for others, or for what was spent."""

    async def play() -> list[bool]:
        scene = Scene("", 1, 0.0, Rank.COSTLY)
        turns = scene.turns
        waits = [turns.must_wait(Rank.COSTLY)]
        turns.wait(Client(scene, "a", Rank.COSTLY), Rank.COSTLY)
        waits.append(turns.must_wait(Rank.COSTLY))
        await asyncio.wait_for(scene.is_over.wait(), 20)
        turns.charge(BUDGET)
        waits.append(turns.must_wait(Rank.COSTLY))
        return waits

    assert asyncio.run(play()) == [False, True, True]


def test_what_is_spent_within_a_pause_adds_up() -> None:
    """After a pause there is the whole budget again, however little of it was left."""

    async def play() -> list[bool]:
        turns = Turns()
        waits = []
        for pause in (0, 3 * PAUSE):
            await asyncio.sleep(pause)
            turns.charge(0.6 * BUDGET)
            waits.append(turns.must_wait(Rank.KNOWN))
        turns.charge(0.6 * BUDGET)
        waits.append(turns.must_wait(Rank.KNOWN))
        turns.close()
        return waits

    # Its clock stands still within a turn of the loop, and so whatever else the machine does.
    assert uvloop.run(play()) == [False, False, True]
