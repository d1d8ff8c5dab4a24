"""How one call goes: its cause, and how long it rang and talked."""

from math import exp
from random import Random

import msgspec

from bandwidth_voice_exporter.simulate.profile import Profile, behaviour
from bandwidth_voice_exporter.voice import HANGUP


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A cause and the lengths that go with it, in milliseconds."""

    cause: str
    ring_ms: int
    talk_ms: int | None  # None: never answered


def draw_outcome(rng: Random, profile: Profile, direction: str, cause: str) -> Outcome:
    """Return a call in ``direction`` that ends with ``cause``."""
    how = behaviour(cause)
    if rng.random() < how.answered_share:
        inbound = direction == "inbound"
        median = profile.inbound_ring_median if inbound else profile.outbound_ring_median
        ring_ms = _length_ms(rng, median, profile.ring_sigma, profile.call_timeout)
        return Outcome(
            cause, ring_ms, _length_ms(rng, how.talk_median, how.talk_sigma, how.talk_longest)
        )
    if how.rings_out:
        return Outcome(cause, round(profile.call_timeout * 1000), None)
    ring_ms = _length_ms(rng, how.ring_median, profile.ring_sigma, profile.call_timeout)
    return Outcome(cause, ring_ms, None)


def draw_transferred(rng: Random, profile: Profile, cause: str, within_ms: int) -> Outcome:
    """Return a second leg that fits into the ``within_ms`` that its first leg talked."""
    drawn = draw_outcome(rng, profile, "outbound", cause)
    if drawn.talk_ms is None and drawn.ring_ms <= within_ms:
        return drawn
    # It may not outlast the call that it is a part of.
    ring_ms = min(drawn.ring_ms, within_ms // 3)
    return Outcome(HANGUP, ring_ms, round((within_ms - ring_ms) * rng.uniform(0.3, 0.95)))


def draw_queue_ms(rng: Random, profile: Profile) -> int | None:
    """Return how long an outbound call was queued; None when it was not."""
    if rng.random() >= profile.queued_share:
        return None
    if rng.random() < profile.unqueued_share:
        return 0
    return round(1000 * min(rng.expovariate(1 / profile.queue_mean), profile.queue_longest))


def draw_message(rng: Random, cause: str, callee: str) -> str | None:
    """Return what Bandwidth would say; at times it names the callee's number."""
    messages = behaviour(cause).messages
    if not messages:
        return None
    message = messages[int(rng.random() * len(messages))]
    # In a SIP URI the part before the @ may be a name: only numbers are quoted.
    return message.replace("{to}", callee if callee.startswith("+") else "the callee")


def draw_sip_code(rng: Random, cause: str) -> int | None:
    """Return the status with which an outbound INVITE was rejected; None when it was not."""
    codes = behaviour(cause).sip_codes
    return codes[int(rng.random() * len(codes))]


def _length_ms(rng: Random, median: float, sigma: float, longest: float) -> int:
    return round(1000 * min(longest, median * exp(rng.gauss(0.0, sigma))))
