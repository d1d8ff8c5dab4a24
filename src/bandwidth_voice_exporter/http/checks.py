"""Passwords that wait to be checked: each source in its turn, and none for long."""

import asyncio
from collections import deque

_AT_ONCE = 2  # each check takes a core for as long as the hash's cost makes it
_WAITING = 16  # of one source

Place = asyncio.Future[None]  # done once it is its turn


class FullError(Exception):
    """As many of a source's checks wait as may."""


class Checks:
    """The order in which passwords are checked.

    Sources take turns, whatever they send: many guesses of one do not keep another waiting. Sources
    that have shown right credentials before take every second turn.
    """

    def __init__(self) -> None:
        self._free = _AT_ONCE
        # By source, in the order of their turns.
        self._strangers: dict[str, deque[Place]] = {}
        self._known: dict[str, deque[Place]] = {}
        self._is_turn_of_known = True

    def enter(self, source: str, *, is_known: bool) -> Place:
        """Return a place, which is to be left. Raises FullError."""
        place: Place = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            place.set_result(None)
            return place
        waiting = (self._known if is_known else self._strangers).setdefault(source, deque())
        if len(waiting) >= _WAITING:
            raise FullError
        waiting.append(place)
        return place

    def leave(self, place: Place) -> None:
        """Give a place up, to the next one where it was its turn."""
        if place.done():
            self._pass_on()
            return
        for ring in (self._known, self._strangers):
            for source, waiting in ring.items():
                if place in waiting:
                    waiting.remove(place)
                    if not waiting:
                        del ring[source]
                    return

    def _pass_on(self) -> None:
        is_known = bool(self._known) and (self._is_turn_of_known or not self._strangers)
        self._is_turn_of_known = not is_known
        ring = self._known if is_known else self._strangers
        if not ring:
            self._free += 1
            return
        source = next(iter(ring))
        waiting = ring.pop(source)
        waiting.popleft().set_result(None)
        if waiting:
            ring[source] = waiting  # behind the others
