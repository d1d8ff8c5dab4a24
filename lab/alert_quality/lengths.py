"""How long calls ring and talk, in minutes, as the simulator's profile has it."""

from collections.abc import Callable
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from bandwidth_voice_exporter.simulate.profile import behaviour
from bandwidth_voice_exporter.voice.causes import CAUSES
from lab.alert_quality.traffic import PROFILE, Character, Floats

Whole = npt.NDArray[np.int64]
Normal = Callable[[int], Floats]  # as many standard normal numbers as asked for

SHORT_CALL = 0.1  # minutes: what the exporter counts as short is at most 6 s
_SECOND = 1 / 60

ANSWERED_SHARE = np.array([behaviour(cause).answered_share for cause in CAUSES])
_TALK_MEDIAN = np.array([behaviour(cause).talk_median for cause in CAUSES]) * _SECOND
_TALK_SIGMA = np.array([behaviour(cause).talk_sigma for cause in CAUSES])
_TALK_LONGEST = np.array([behaviour(cause).talk_longest for cause in CAUSES]) * _SECOND
_RING_MEDIAN = np.array([behaviour(cause).ring_median for cause in CAUSES]) * _SECOND
_RINGS_OUT = np.array([behaviour(cause).rings_out for cause in CAUSES])
_ANSWERED_RING = np.array([PROFILE.inbound_ring_median, PROFILE.outbound_ring_median]) * _SECOND
_CALL_TIMEOUT = PROFILE.call_timeout * _SECOND
_CUT_MEDIAN, _CUT_SIGMA = 3 * _SECOND, 0.4  # talk of calls that an incident makes short
_TAIL = 0.25  # bends the lognormal into a power law with exponent 1 / (2 * 0.25 * sigma)


def talk(cause: Whole, z: Floats, character: Character) -> Floats:
    """How long answered calls are talked on, from one standard normal number each."""
    if character.heavy_tail:
        z = z * (1 + _TAIL * np.maximum(z, 0.0))
    length = _TALK_MEDIAN[cause] * np.exp(_TALK_SIGMA[cause] * z)
    return np.minimum(length, _TALK_LONGEST[cause])


def cut_talk(z: Floats) -> Floats:
    """How long calls that an incident makes short are talked on."""
    return np.minimum(_CUT_MEDIAN * np.exp(_CUT_SIGMA * z), SHORT_CALL)


def answered_ring(direction: Whole, z: Floats) -> Floats:
    """How long calls ring that are answered; direction is an index into DIRECTIONS."""
    length = _ANSWERED_RING[direction] * np.exp(PROFILE.ring_sigma * z)
    return np.minimum(length, _CALL_TIMEOUT)


def unanswered_ring(cause: Whole, z: Floats) -> Floats:
    """How long calls ring that nobody answers."""
    length = np.minimum(_RING_MEDIAN[cause] * np.exp(PROFILE.ring_sigma * z), _CALL_TIMEOUT)
    return np.where(_RINGS_OUT[cause], _CALL_TIMEOUT, length)


def evenly(n: int) -> Floats:
    """Standard normal numbers at ``n`` equally likely places, in ascending order."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse((place + 0.5) / n) for place in range(n)])


class Kernel(msgspec.Struct, frozen=True):
    """When calls of a sort end: by whole minutes after the minute of their start.

    ``share`` of them all in each minute; ``talk`` and ``talk_squared`` are the sums that go with
    it, so that ``talk / share`` is the mean of those that end then.
    """

    share: Floats
    talk: Floats
    talk_squared: Floats

    @property
    def total(self) -> float:
        """The share of calls that are of this sort."""
        return float(self.share.sum())


def kernel(rings: Floats, talks: Floats, of: npt.NDArray[np.bool_]) -> Kernel:
    """Spread equally likely calls (those marked in ``of``) over the minutes of their ends."""
    weight = of / of.size
    length = rings + talks
    whole = np.floor(length).astype(np.int64)
    later = length - whole  # a start anywhere in its minute: this share ends a minute later
    minute = np.concatenate((whole, whole + 1))
    spread = np.concatenate((weight * (1 - later), weight * later))
    both = np.concatenate((talks, talks))
    sums = (
        np.bincount(minute, spread * power).astype(np.float64) for power in (1.0, both, both**2)
    )
    return Kernel(*sums)
