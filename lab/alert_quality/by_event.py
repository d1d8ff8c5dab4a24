"""Calls simulated one by one: start, cause, lengths; counted in the minute of their end."""

from collections.abc import Sequence

import numpy as np

from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from lab.alert_quality import lengths
from lab.alert_quality.ended import Ended
from lab.alert_quality.incident import FLOW, SHORT, Incident
from lab.alert_quality.lengths import Whole
from lab.alert_quality.traffic import (
    DIRECTIONS,
    LEAD,
    PAIRS,
    Character,
    Floats,
    Pair,
    Starts,
)

_HANGUP = CAUSES.index(HANGUP)


def ended(starts: Starts, incidents: Sequence[Incident], seed: int, character: Character) -> Ended:
    """Simulate every call that the expected starts bring forth."""
    minutes = starts.rate.shape[1] - LEAD
    result = Ended.nothing(minutes)
    for index, pair in enumerate(PAIRS):
        rng = np.random.default_rng((seed, index, 3))
        minute = np.repeat(np.arange(LEAD + minutes), rng.poisson(starts.rate[index]))
        cause = _causes(rng, starts.share[index], minute)
        calls = _Calls(rng, pair, minute, cause, character)
        # Chance of its own, so that the calls that no incident hits stay as they were.
        calls.hit(np.random.default_rng((seed, index, 4)), incidents)
        calls.count(result, index)
    return result


def _causes(rng: np.random.Generator, share: Floats, minute: Whole) -> Whole:
    bounds = np.cumsum(share, axis=0)
    drawn = rng.random(minute.size)
    cause = np.zeros(minute.size, np.int64)
    for bound in bounds[:-1]:
        cause += drawn >= bound[minute]
    return cause


class _Calls:
    """The calls of one pair, in the order of the minutes of their starts."""

    def __init__(
        self,
        rng: np.random.Generator,
        pair: Pair,
        minute: Whole,
        cause: Whole,
        character: Character,
    ) -> None:
        n = minute.size
        self._pair = pair
        self._character = character
        self._minute = minute
        self._start = minute + rng.random(n)
        self._cause = cause
        self._answer = rng.random(n)
        self._ring = rng.standard_normal(n)
        self._talk = rng.standard_normal(n)
        self._lost = np.zeros(n, np.bool_)
        self._cut = np.zeros(n, np.bool_)

    def hit(self, rng: np.random.Generator, incidents: Sequence[Incident]) -> None:
        """Let the incidents strike; no two of them in one direction at once."""
        for incident in incidents:
            if not incident.covers(self._pair):
                continue
            bounds = np.array([incident.start, incident.end]) + LEAD
            begin, end = np.searchsorted(self._minute, bounds)
            struck = begin + np.flatnonzero(rng.random(end - begin) < incident.share)
            if incident.kind == FLOW:
                self._lost[struck] = True
            elif incident.kind == SHORT:
                self._cut[struck] = True
            else:
                assert incident.cause is not None
                self._cause[struck] = CAUSES.index(incident.cause)

    def count(self, into: Ended, index: int) -> None:
        """Add the calls to what has ended, each in the minute of its end."""
        answered = self._answer < lengths.ANSWERED_SHARE[self._cause]
        direction = np.full(self._cause.size, DIRECTIONS.index(self._pair.direction))
        talk = np.where(answered, lengths.talk(self._cause, self._talk, self._character), 0.0)
        cut = self._cut & answered & (self._cause == _HANGUP)
        talk = np.where(cut, lengths.cut_talk(self._talk), talk)
        ring = np.where(
            answered,
            lengths.answered_ring(direction, self._ring),
            lengths.unanswered_ring(self._cause, self._ring),
        )
        minute = np.floor(self._start + ring + talk).astype(np.int64) - LEAD
        minutes = into.short.shape[1]
        here = ~self._lost & (minute >= 0) & (minute < minutes)
        cell = (self._cause * 2 + answered)[here] * minutes + minute[here]
        into.calls[index] += np.bincount(cell, minlength=2 * len(CAUSES) * minutes).reshape(
            len(CAUSES), 2, minutes
        )
        short = here & answered & (talk <= lengths.SHORT_CALL)
        into.short[index] += np.bincount(minute[short], minlength=minutes)
        into.talk[index] += np.bincount(minute[here], talk[here], minlength=minutes)
