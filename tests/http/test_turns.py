"""Turns at being read: one after the other, and no more of them than there is time for."""

import asyncio
import time

from bandwidth_voice_exporter.http.turns import Turns


class Scene:
    """Clients who take turns, each at a cost, and at once wait for the next."""

    def __init__(self, names: str, number: int, cost: float) -> None:
        self.taken: list[str] = []
        self.is_over = asyncio.Event()
        self.turns = Turns()
        self.number = number
        self.cost = cost
        for name in names:
            self.turns.wait(Client(self, name))


class Client:
    """One of them."""

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene = scene
        self._name = name

    def take_turn(self) -> None:
        """Use up some time."""
        scene = self._scene
        scene.taken.append(self._name)
        scene.turns.charge(scene.cost)
        if len(scene.taken) < scene.number:
            scene.turns.wait(self)
        else:
            scene.turns.close()
            scene.is_over.set()


def turns_of(names: str, number: int, cost: float) -> tuple[list[str], float]:
    """Whose turn it was until there were so many, and the seconds that took."""

    async def play() -> list[str]:
        scene = Scene(names, number, cost)
        await asyncio.wait_for(scene.is_over.wait(), 20)
        return scene.taken

    began = time.perf_counter()
    return asyncio.run(play()), time.perf_counter() - began


def test_turns_go_round() -> None:
    """Who comes back for more waits behind those who wait."""
    taken, _ = turns_of("abc", 9, 0.0)
    assert "".join(taken) == "abcabcabc"


def test_turns_leave_time_for_others() -> None:
    """All turns together take a quarter of the time, whatever one of them costs."""
    _, seconds = turns_of("abcdefgh", 6, 0.02)
    assert seconds >= 5 * 0.02 * 4 * 0.9  # the event loop's clock goes by whole milliseconds


def test_the_longest_wait_has_an_end() -> None:
    """However much was spent before, the next turn comes."""
    taken, _ = turns_of("ab", 2, 60.0)
    assert taken == ["a", "b"]
