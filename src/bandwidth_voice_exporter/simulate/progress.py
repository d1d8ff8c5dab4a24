"""The progress of a run, for a person at a terminal."""

import time
from typing import TextIO

from bandwidth_voice_exporter import output
from bandwidth_voice_exporter.simulate.delivery import Score

# Back to the first column, and whatever was longer before is erased.
_REWRITE = "\r\x1b[K"


class Progress:
    """A line on a terminal that is written over, and a last one everywhere."""

    def __init__(self, out: TextIO, score: Score, seed: int) -> None:
        self._out = out
        self._seed = seed
        self._score = score
        self._began = time.monotonic()
        self._shown = (self._began, 0)

    def show(self) -> None:
        """Rewrite the line, if there is a terminal to see it."""
        if not self._out.isatty():
            return
        score, now = self._score, time.monotonic()
        then, before = self._shown
        rate = (score.deliveries - before) / max(now - then, 0.001)
        self._shown = (now, score.deliveries)
        output.say(
            self._out,
            f"{_REWRITE}{score.deliveries} sent, {score.accepted} answered 2xx, "
            f"{score.failed} failed, {rate:.0f} events/s",
        )

    def finish(self) -> None:
        """Write the summary."""
        score, seconds = self._score, max(time.monotonic() - self._began, 0.001)
        start = _REWRITE if self._out.isatty() else ""
        output.say(
            self._out,
            f"{start}{score.events} events in {seconds:.1f} s "
            f"({score.events / seconds:.0f}/s): {score.requests} requests, "
            f"{score.accepted} answered 2xx, {score.failed} failed, seed {self._seed}\n",
        )
