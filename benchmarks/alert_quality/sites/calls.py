"""The calls that end in each minute of a run: drawn as counts, from what is expected to start."""

from collections.abc import Iterator, Sequence
from functools import cache

import msgspec
import numpy as np

from bandwidth_voice_exporter.causes import CAUSES, HANGUP
from benchmarks.alert_quality import lengths
from benchmarks.alert_quality.incident import FLOW, SHORT
from benchmarks.alert_quality.lengths import Kernel, Whole
from benchmarks.alert_quality.sites import demand as demanded
from benchmarks.alert_quality.sites.demand import Demand
from benchmarks.alert_quality.sites.happening import UNDOCUMENTED, Happening
from benchmarks.alert_quality.sites.site import Line
from benchmarks.alert_quality.traffic import DIRECTIONS, LEAD, Character, Floats

CAUSES_SEEN = (*CAUSES, *UNDOCUMENTED)
_HANGUP = CAUSES.index(HANGUP)
_LIKE = CAUSES.index("error")  # how calls go that end with a cause nobody has documented
_RINGS, _TALKS = 12, 8192  # equally likely lengths that stand for all


class Counted(msgspec.Struct):
    """One line's calls by cause, answered and minute; short ones and minutes talked by minute."""

    line: Line
    calls: Whole
    short: Whole
    talk: Floats

    @property
    def total(self) -> Whole:
        """All calls, by minute."""
        total: Whole = self.calls.sum(axis=(0, 1))
        return total


def counted(expected: Demand, happenings: Sequence[Happening], seed: int) -> Iterator[Counted]:
    """Draw line after line: nothing but counts is kept of the calls."""
    site, level = expected.site, expected.level
    volume, share = (of(site, level, seed) for of in (demanded.volume, demanded.shares))
    for place, line in enumerate(site.lines):
        rng = site.chance(seed, level, place, 14)
        rate = expected.line(place) * demanded.by_minute(volume[place])
        starting = np.zeros((len(CAUSES_SEEN), rate.size))
        starting[: len(CAUSES)] = rate * demanded.by_minute(share[place])
        cut_short = _struck(starting, line, happenings)
        yield _ended(rng, line, starting, cut_short, site.character)


def _struck(starting: Floats, line: Line, happenings: Sequence[Happening]) -> Floats:
    """Let things happen to what starts; return what of the hangups is cut short if answered."""
    cut_short = np.zeros(starting.shape[1])
    for one in happenings:
        if not one.hits(line):
            continue
        during = slice(LEAD + one.start, LEAD + one.end)
        strength = one.strength()
        if one.kind == SHORT:
            cut_short[during] = starting[_HANGUP, during] * strength
            continue
        struck = starting[:, during].sum(axis=0) * strength
        starting[:, during] *= 1 - strength
        if one.kind != FLOW:
            assert one.cause is not None
            starting[CAUSES_SEEN.index(one.cause), during] += struck
    return cut_short


def _ended(
    rng: np.random.Generator, line: Line, starting: Floats, cut_short: Floats, of: Character
) -> Counted:
    minutes = starting.shape[1] - LEAD
    result = Counted(
        line,
        np.zeros((len(CAUSES_SEEN), 2, minutes), np.int64),
        np.zeros(minutes, np.int64),
        np.zeros(minutes),
    )
    for cause, expected in enumerate(starting):
        if not expected.any():
            continue
        never, long, short = _kernels(line.direction, min(cause, len(CAUSES)), of)
        if never.total:
            result.calls[cause, 0] += rng.poisson(_spread(expected, never.share))
        spared = expected - cut_short if cause == _HANGUP else expected
        _answered(rng, spared, long, result, cause)
        result.short += _answered(rng, spared, short, result, cause)
    if cut_short.any():
        result.short += _answered(rng, cut_short, _cut(line.direction), result, _HANGUP)
    return result


def _answered(
    rng: np.random.Generator, expected: Floats, kernel: Kernel, into: Counted, cause: int
) -> Whole:
    mean = _spread(expected, kernel.share)
    count = rng.poisson(mean)
    if not kernel.total:
        return count
    some = np.flatnonzero(count)
    safe = np.maximum(mean[some], 1e-300)
    talk = _spread(expected, kernel.talk)[some] / safe
    variance = np.maximum(_spread(expected, kernel.talk_squared)[some] / safe - talk**2, 0.0)
    # A gamma distribution with the mean and the variance of the sum.
    scale = np.maximum(variance / np.maximum(talk, 1e-300), 1e-12)
    into.calls[cause, 1] += count
    into.talk[some] += rng.gamma(count[some] * talk / scale, scale)
    return count


@cache
def _kernels(direction: str, cause: int, character: Character) -> tuple[Kernel, Kernel, Kernel]:
    """When calls end that start with a cause: never answered, talked on, talked on shortly."""
    cause = cause if cause < len(CAUSES) else _LIKE
    share = float(lengths.ANSWERED_SHARE[cause])
    rings = lengths.evenly(_RINGS)
    waited = lengths.unanswered_ring(np.full(_RINGS, cause), rings)
    never = lengths.kernel(waited, np.zeros(_RINGS), np.ones(_RINGS, np.bool_))
    z = lengths.evenly(_TALKS)
    talk = np.repeat(lengths.talk(np.full(_TALKS, cause), z, character), _RINGS)
    ring = np.tile(_rung(direction, rings), _TALKS)
    short = talk <= lengths.SHORT_CALL
    return (
        _scaled(never, 1 - share),
        _scaled(lengths.kernel(ring, talk, ~short), share),
        _scaled(lengths.kernel(ring, talk, short), share),
    )


@cache
def _cut(direction: str) -> Kernel:
    rings = lengths.evenly(_RINGS)
    z = lengths.evenly(_TALKS // 8)
    talk = np.repeat(lengths.cut_talk(z), _RINGS)
    kernel = lengths.kernel(
        np.tile(_rung(direction, rings), z.size), talk, np.ones(talk.size, np.bool_)
    )
    return _scaled(kernel, float(lengths.ANSWERED_SHARE[_HANGUP]))


def _rung(direction: str, rings: Floats) -> Floats:
    return lengths.answered_ring(np.full(rings.size, DIRECTIONS.index(direction)), rings)


def _scaled(kernel: Kernel, by: float) -> Kernel:
    return Kernel(kernel.share * by, kernel.talk * by, kernel.talk_squared * by)


def _spread(expected: Floats, over: Floats) -> Floats:
    # Of the starts before the lead nothing is known: it is as long as the longest call.
    return np.convolve(expected, over)[LEAD : expected.size]
