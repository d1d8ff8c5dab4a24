"""The last hour by minute, from before a start on: the calls received in each."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from bandwidth_voice_exporter.meanwhile import meanwhile
from bandwidth_voice_exporter.metrics import MINUTE, Tally
from bandwidth_voice_exporter.voice import now

MINUTES = 60

Causes = Mapping[str, int]
# Calls between two times (microseconds), by minute and cause, as far as they are known.
Recall = Callable[[int, int], Mapping[int, Causes]]


class Minute(msgspec.Struct, frozen=True):
    """How calls ended in a minute (its number since 1970); ``causes`` is None where not known."""

    number: int
    causes: Causes | None


class History:
    """A tally's growth, minute by minute; ``clock`` gives microseconds since 1970."""

    def __init__(self, tally: Tally, clock: Callable[[], int] = now) -> None:
        self._tally = tally
        self._clock = clock
        self.since = clock()
        self._before: Mapping[int, Causes] = {}
        tally.watch(self.since)

    def minutes(self) -> list[Minute]:
        """Return the last hour's minutes, oldest first; the last one is not over."""
        ended = self._tally.minutes()
        minutes = []
        for number in self._hour():
            causes: Counter[str] | None = None
            if number in ended or number >= self.since // MINUTE:
                causes = Counter(ended[number].causes if number in ended else {})
            if number in self._before:
                causes = (causes or Counter()) + Counter(self._before[number])
            minutes.append(Minute(number, causes))
        return minutes

    def delays(self) -> tuple[int, ...]:
        """Return how many events came in each bucket of the delay, in the last hour."""
        hour = self._hour()
        ended = self._tally.minutes()
        within = [one.delays for number, one in ended.items() if number in hour]
        return tuple(map(sum, zip(*within, strict=True)))

    @contextlib.asynccontextmanager
    async def recalling(self, recall: Recall) -> AsyncIterator[None]:
        """Recall the minutes before the start meanwhile."""
        async with meanwhile(self._recall(recall)):
            yield

    async def _recall(self, recall: Recall) -> None:
        since = (self.since // MINUTE - MINUTES + 1) * MINUTE
        self._before = await asyncio.to_thread(recall, since, self.since)

    def _hour(self) -> range:
        last = self._clock() // MINUTE
        return range(last - MINUTES + 1, last + 1)
