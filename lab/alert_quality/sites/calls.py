"""The calls that end in each minute of a run: each simulated, nothing but counts of them kept."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from bandwidth_voice_exporter.voice.causes import CAUSES, HANGUP
from lab.alert_quality import lengths
from lab.alert_quality.incident import FLOW, SHORT
from lab.alert_quality.lengths import Whole
from lab.alert_quality.sites import demand as demanded
from lab.alert_quality.sites.demand import Demand
from lab.alert_quality.sites.happening import UNDOCUMENTED, Happening
from lab.alert_quality.sites.site import Line
from lab.alert_quality.traffic import DIRECTIONS, LEAD, Character, Floats

CAUSES_SEEN = (*CAUSES, *UNDOCUMENTED)
_HANGUP = CAUSES.index(HANGUP)
_LIKE = CAUSES.index("error")  # how calls go that end with a cause nobody has documented


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
    """Simulate line after line."""
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
        if expected.any():
            spared = expected - cut_short if cause == _HANGUP else expected
            _count(rng, spared, cause, of, result)
    if cut_short.any():
        _count(rng, cut_short, _HANGUP, None, result)
    return result


def _count(
    rng: np.random.Generator, expected: Floats, cause: int, of: Character | None, into: Counted
) -> None:
    """Add calls that end with a cause, each in the minute of its end; ``of`` None: cut short."""
    minute = np.repeat(np.arange(expected.size), rng.poisson(np.maximum(expected, 0.0)))
    like = np.array(cause if cause < len(CAUSES) else _LIKE)
    direction = np.array(DIRECTIONS.index(into.line.direction))
    begin = minute + rng.random(minute.size) - LEAD
    answered = rng.random(minute.size) < lengths.ANSWERED_SHARE[like]
    ring, z = rng.standard_normal((2, minute.size))
    talk = lengths.cut_talk(z) if of is None else lengths.talk(like, z, of)
    waited = np.where(
        answered, lengths.answered_ring(direction, ring), lengths.unanswered_ring(like, ring)
    )
    minutes = into.short.size
    end = np.floor(begin + waited + np.where(answered, talk, 0.0)).astype(np.int64)
    here = (end >= 0) & (end < minutes)
    for place, those in enumerate((here & ~answered, here & answered)):
        into.calls[cause, place] += np.bincount(end[those], minlength=minutes)
    talked = here & answered
    short = talked & (talk <= lengths.SHORT_CALL)
    into.short += np.bincount(end[short], minlength=minutes)
    into.talk += np.bincount(end[talked], talk[talked], minlength=minutes)
