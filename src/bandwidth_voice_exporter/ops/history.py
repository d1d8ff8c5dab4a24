"""The last hour by minute: what the totals have grown by since each minute began.

The totals are looked at once a minute. Nothing is done for an event.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from bandwidth_voice_exporter.metrics import Tally, catalog
from bandwidth_voice_exporter.voice import SECOND, now

MINUTES = 60
MINUTE = 60 * SECOND

_CAUSE = catalog.CALLS.labels.index("cause")

Causes = Mapping[str, int]
# Calls between two times (microseconds), by minute and cause, as far as they are known.
Recall = Callable[[int, int], Mapping[int, Causes]]


class Minute(msgspec.Struct, frozen=True):
    """How calls ended in a minute (its number since 1970); ``causes`` is None where not known."""

    number: int
    causes: Causes | None


class _Sample(msgspec.Struct, frozen=True):
    causes: Counter[str]
    delays: tuple[int, ...]


class History:
    """What a tally has come to, minute by minute; ``clock`` gives microseconds since 1970."""

    def __init__(self, tally: Tally, clock: Callable[[], int] = now) -> None:
        self._tally = tally
        self._clock = clock
        self.since = clock()
        self._before: Mapping[int, Causes] = {}
        self._samples: dict[int, _Sample] = {self.since // MINUTE: self._sample()}

    def take(self) -> None:
        """Look at the totals, at the beginning of a minute."""
        number = self._clock() // MINUTE
        self._samples.setdefault(number, self._sample())
        for old in [old for old in self._samples if old < number - MINUTES]:
            del self._samples[old]

    def minutes(self) -> list[Minute]:
        """Return the last hour's minutes, oldest first; the last one is not over."""
        last = self._clock() // MINUTE
        numbers = range(last - MINUTES + 1, last + 1)
        later = self._sample()
        minutes = []
        for number in reversed(numbers):
            causes: Counter[str] | None = None
            if number in self._samples:
                causes = later.causes - self._samples[number].causes
                later = self._samples[number]
            if number in self._before:
                causes = (causes or Counter()) + Counter(self._before[number])
            minutes.append(Minute(number, causes))
        return minutes[::-1]

    def delays(self) -> tuple[int, ...]:
        """Return how many events came in each bucket of the delay, in the last hour."""
        first = self._samples[min(self._samples)].delays
        return tuple(now - then for now, then in zip(self._sample().delays, first, strict=True))

    @contextlib.asynccontextmanager
    async def running(self, recall: Recall) -> AsyncIterator[None]:
        """Look at the totals each minute meanwhile, after what was before is recalled."""
        task = asyncio.create_task(self._run(recall))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, recall: Recall) -> None:
        since = (self.since // MINUTE - MINUTES + 1) * MINUTE
        self._before = await asyncio.to_thread(recall, since, self.since)
        while True:
            await asyncio.sleep((MINUTE - self._clock() % MINUTE) / SECOND)
            self.take()

    def _sample(self) -> _Sample:
        causes: Counter[str] = Counter()
        for key, count in self._tally.counts[catalog.CALLS.name].items():
            causes[key[_CAUSE]] += count.value
        histogram = self._tally.histograms[catalog.DELAY.name][()]
        return _Sample(causes, tuple(histogram.counts))
