"""The same model without single calls: how many end in each minute, drawn from what is expected.

Starts are a Poisson process and each call goes its own way, so the calls that end in a minute with
a cause are Poisson as well: their mean is what started before, spread over the lengths of calls.
"""

from collections.abc import Sequence

import numpy as np

from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from lab.alert_quality import lengths
from lab.alert_quality.ended import Ended
from lab.alert_quality.incident import FLOW, SHORT, Incident
from lab.alert_quality.lengths import Kernel
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
_RINGS, _TALKS = 12, 16384  # equally likely lengths that stand for all


def ended(starts: Starts, incidents: Sequence[Incident], seed: int, character: Character) -> Ended:
    """Draw what ends in each minute, as simulating each call would in distribution."""
    minutes = starts.rate.shape[1] - LEAD
    result = Ended.nothing(minutes)
    kernels = {
        direction: [_kernels(direction, cause, character) for cause in range(len(CAUSES))]
        for direction in DIRECTIONS
    }
    cut = {direction: _cut_kernel(direction) for direction in DIRECTIONS}
    for index, pair in enumerate(PAIRS):
        rng = np.random.default_rng((seed, index, 5))
        starting = starts.rate[index] * starts.share[index]
        cut_short = _strike(starting, pair, incidents)
        for cause, (unanswered, long, short) in enumerate(kernels[pair.direction]):
            expected = starting[cause]
            if not expected.any():
                continue
            if unanswered.total:
                mean = _spread(expected, unanswered.share)
                result.calls[index, cause, 0] += rng.poisson(mean)
            spared = expected - cut_short if cause == _HANGUP else expected
            for kernel, is_short in ((long, False), (short, True)):
                if kernel.total:
                    _draw(rng, spared, kernel, result, (index, cause), short=is_short)
        if cut_short.any():
            at = (index, _HANGUP)
            _draw(rng, cut_short, cut[pair.direction], result, at, short=True)
    return result


def _strike(starting: Floats, pair: Pair, incidents: Sequence[Incident]) -> Floats:
    """Let the incidents move what starts; return what of the hangups is cut short if answered."""
    cut_short = np.zeros(starting.shape[1])
    for incident in incidents:
        if not incident.covers(pair):
            continue
        during = slice(LEAD + incident.start, LEAD + incident.end)
        if incident.kind == SHORT:
            cut_short[during] = starting[_HANGUP, during] * incident.share
            continue
        struck = starting[:, during].sum(axis=0) * incident.share
        starting[:, during] *= 1 - incident.share
        if incident.kind != FLOW:
            assert incident.cause is not None
            starting[CAUSES.index(incident.cause), during] += struck
    return cut_short


def _draw(  # noqa: PLR0913 - six things that have no common name
    rng: np.random.Generator,
    expected: Floats,
    kernel: Kernel,
    into: Ended,
    at: tuple[int, int],
    *,
    short: bool,
) -> None:
    index, cause = at
    mean = _spread(expected, kernel.share)
    count = rng.poisson(mean)
    safe = np.maximum(mean, 1e-300)
    talk = _spread(expected, kernel.talk) / safe
    variance = np.maximum(_spread(expected, kernel.talk_squared) / safe - talk**2, 0.0)
    # A gamma distribution with the mean and the variance of the sum.
    scale = variance / np.maximum(talk, 1e-300)
    shape = count * talk / np.maximum(scale, 1e-300)
    into.calls[index, cause, 1] += count
    into.talk[index] += np.where(scale > 0, rng.gamma(shape, scale), count * talk)
    if short:
        into.short[index] += count


def _kernels(direction: str, cause: int, character: Character) -> tuple[Kernel, Kernel, Kernel]:
    """Of calls that start with a cause: never answered, talked on, and talked on shortly."""
    share = float(lengths.ANSWERED_SHARE[cause])
    rings = lengths.evenly(_RINGS)
    causes = np.full(_RINGS, cause)
    unanswered = lengths.unanswered_ring(causes, rings)
    everyone = np.ones(_RINGS, np.bool_)
    never = lengths.kernel(unanswered, np.zeros(_RINGS), everyone)
    z = lengths.evenly(_TALKS)
    talk = np.repeat(lengths.talk(np.full(_TALKS, cause), z, character), _RINGS)
    ring = np.tile(_answered(direction, rings), _TALKS)
    short = talk <= lengths.SHORT_CALL
    return (
        _scaled(never, 1 - share),
        _scaled(lengths.kernel(ring, talk, ~short), share),
        _scaled(lengths.kernel(ring, talk, short), share),
    )


def _cut_kernel(direction: str) -> Kernel:
    rings = lengths.evenly(_RINGS)
    z = lengths.evenly(_TALKS // 16)
    talk = np.repeat(lengths.cut_talk(z), _RINGS)
    ring = np.tile(_answered(direction, rings), z.size)
    kernel = lengths.kernel(ring, talk, np.ones(talk.size, np.bool_))
    return _scaled(kernel, float(lengths.ANSWERED_SHARE[_HANGUP]))


def _answered(direction: str, rings: Floats) -> Floats:
    return lengths.answered_ring(np.full(rings.size, DIRECTIONS.index(direction)), rings)


def _scaled(kernel: Kernel, by: float) -> Kernel:
    return Kernel(kernel.share * by, kernel.talk * by, kernel.talk_squared * by)


def _spread(expected: Floats, over: Floats) -> Floats:
    # Of the starts before the lead nothing is known: it is as long as the longest call.
    return np.convolve(expected, over)[LEAD : expected.size]
