"""Ended calls in the order of their ends, the same for the same parameters.

Starts are a Poisson process of changing rate, lengths are independent: start and end are then a
Poisson process in the plane. It is drawn here by its ends, each kept with the odds of its start.
That gives a steady state from the first moment on, without a past to generate and throw away.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from random import Random
from typing import TypeVar

import msgspec

from bandwidth_voice_exporter.simulate import identity
from bandwidth_voice_exporter.simulate.call import Call, Transfer
from bandwidth_voice_exporter.simulate.curve import HOUR, PEAK, weekly
from bandwidth_voice_exporter.simulate.incident import Incident
from bandwidth_voice_exporter.simulate.outcome import (
    Outcome,
    draw_message,
    draw_outcome,
    draw_queue_ms,
    draw_sip_code,
    draw_transferred,
)
from bandwidth_voice_exporter.simulate.profile import (
    APPLICATIONS,
    ApplicationProfile,
    Profile,
    behaviour,
)
from bandwidth_voice_exporter.simulate.seeded import seeded
from bandwidth_voice_exporter.voice import DISCONNECT, HANGUP, TRANSFER_DISCONNECT

T = TypeVar("T")


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic; ``rate`` in calls a minute, ``starts_at`` in seconds since Monday 00:00."""

    seed: int = 0
    rate: float = 60.0
    flat: bool = False
    starts_at: float = 7 * HOUR
    applications: tuple[ApplicationProfile, ...] = APPLICATIONS
    incidents: tuple[Incident, ...] = ()
    transfer_share: float = 0.03  # of answered calls that were hung up
    account_id: str = "55555555"
    profile: Profile = Profile()


def calls(traffic: Traffic, incidents: Sequence[Incident] | None = None) -> Iterator[Call]:
    """Yield the calls and transfer legs that end from 0 on, without end.

    ``incidents`` take the place of the traffic's own. Between two calls some may be added, and
    others cut short.
    """
    known = traffic.incidents if incidents is None else incidents
    streams = [_Source(traffic, known, f"{traffic.seed}").ordinary()]
    nearest: list[tuple[float, int, Call]] = []
    _push(nearest, streams, 0)
    while nearest:
        # A stream of its own for each incident leaves the calls that it does not hit as they were.
        for index in range(len(streams) - 1, len(known)):
            streams.append(_Source(traffic, known, f"{traffic.seed}/{index}").incident(index))
            _push(nearest, streams, index + 1)
        _, number, call = nearest[0]
        yield call
        heappop(nearest)
        _push(nearest, streams, number)


def _push(
    nearest: list[tuple[float, int, Call]], streams: Sequence[Iterator[Call]], number: int
) -> None:
    """Put a stream's next call among those of the others."""
    if (call := next(streams[number], None)) is not None:
        heappush(nearest, (call.end, number, call))


class _Source:
    """One stream of calls, all drawn from one random generator."""

    def __init__(self, traffic: Traffic, incidents: Sequence[Incident], seed: str) -> None:
        self._traffic = traffic
        self._incidents = incidents
        self._rng = seeded(seed)
        self._applications = _pick(
            tuple((application, application.weight) for application in traffic.applications)
        )
        self._causes = {
            "inbound": _pick(traffic.profile.inbound),
            "outbound": _pick(traffic.profile.outbound),
        }
        self._transferred = _pick(traffic.profile.transferred)

    def ordinary(self) -> Iterator[Call]:
        """Yield the calls that no incident hits."""
        for call in self._candidates(0.0, None):
            legs = self._legs(call)
            # Drawn even if not needed: incidents must not shift the calls after them.
            if self._rng.random() < _spared(self._incidents, call):
                yield from legs

    def incident(self, index: int) -> Iterator[Call]:
        """Yield the calls that the incident at ``index`` hits."""
        first = self._incidents[index]
        how = behaviour(first.cause)
        longest = self._traffic.profile.call_timeout + how.talk_longest
        for call in self._candidates(first.after, first.cause):
            incident = self._incidents[index]  # which may have been cut short
            if call.end > incident.after + incident.lasts + longest:
                return
            if not _covered(incident, call):
                continue
            odds = incident.share * _spared(self._incidents[:index], call)
            if self._rng.random() < odds:
                yield from self._legs(call)

    def _candidates(self, begin: float, cause: str | None) -> Iterator["_Sketch"]:
        traffic, rng = self._traffic, self._rng
        peak = 1.0 if traffic.flat else PEAK
        rate = traffic.rate / 60 * peak
        end = begin
        while True:
            end += rng.expovariate(rate)
            application = self._applications(rng)
            inbound = rng.random() < application.inbound_share
            direction = "inbound" if inbound else "outbound"
            outcome = draw_outcome(
                rng, traffic.profile, direction, cause or self._causes[direction](rng)
            )
            call = _Sketch(application.application_id, direction, end, outcome)
            level = 1.0 if traffic.flat else weekly(traffic.starts_at + call.start)
            if rng.random() * peak < level:
                yield call

    def _legs(self, sketch: "_Sketch") -> list[Call]:
        rng, outcome = self._rng, sketch.outcome
        inbound = sketch.direction == "inbound"
        outside = identity.caller(rng) if inbound else identity.callee(rng)
        own = identity.number(rng)
        leg = _PlannedLeg(
            event_type=DISCONNECT,
            application=sketch.application,
            direction=sketch.direction,
            end=sketch.end,
            caller=outside if inbound else own,
            callee=own if inbound else outside,
        )
        call = self._call(leg, outcome)
        if (
            outcome.talk_ms is None
            or outcome.cause != HANGUP
            or rng.random() >= self._traffic.transfer_share
        ):
            return [call]
        target = identity.callee(rng)
        transferred = _PlannedLeg(
            event_type=TRANSFER_DISCONNECT,
            application=None,
            direction="outbound",
            end=sketch.end,
            caller=call.caller,
            callee=target,
            transfer=Transfer(parent_call_id=call.call_id, caller_id=own, to=target),
        )
        ends = draw_transferred(rng, self._traffic.profile, self._transferred(rng), outcome.talk_ms)
        return [self._call(transferred, ends), call]

    def _call(self, leg: "_PlannedLeg", outcome: Outcome) -> Call:
        rng, profile = self._rng, self._traffic.profile
        outbound = leg.direction == "outbound"
        failed = outcome.cause != HANGUP
        answered = outcome.talk_ms is not None
        identified = failed and rng.random() >= profile.no_error_id_share
        return Call(
            event_type=leg.event_type,
            call_id=identity.call_id(rng),
            account_id=self._traffic.account_id,
            application=leg.application,
            direction=leg.direction,
            cause=outcome.cause,
            caller=leg.caller,
            callee=leg.callee,
            end=leg.end,
            ring_ms=outcome.ring_ms,
            talk_ms=outcome.talk_ms,
            queue_ms=draw_queue_ms(rng, profile) if outbound and leg.transfer is None else None,
            error_id=identity.uuid(rng) if identified else None,
            error_message=draw_message(rng, outcome.cause, leg.callee),
            tag=self._some(profile.tag_share, identity.tag),
            sip_call_id=self._some(profile.sip_call_id_share, identity.sip_call_id),
            sip_response_code=(
                draw_sip_code(rng, outcome.cause) if outbound and not answered else None
            ),
            transfer=leg.transfer,
            nulls=rng.random() < profile.nulls_share,
        )

    def _some(self, share: float, draw: Callable[[Random], str]) -> str | None:
        return draw(self._rng) if self._rng.random() < share else None


class _Sketch(msgspec.Struct, frozen=True):
    """Of a call, what decides whether it takes place."""

    application: str
    direction: str
    end: float
    outcome: Outcome

    @property
    def start(self) -> float:
        return self.end - (self.outcome.ring_ms + (self.outcome.talk_ms or 0)) / 1000


class _PlannedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Of a call leg, what its outcome does not decide."""

    event_type: str
    application: str | None
    direction: str
    end: float
    caller: str
    callee: str
    transfer: Transfer | None = None


def _covered(incident: Incident, call: _Sketch) -> bool:
    return incident.covers(call.start, call.direction, call.application)


def _spared(incidents: Sequence[Incident], call: _Sketch) -> float:
    odds = 1.0
    for incident in incidents:
        if _covered(incident, call):
            odds *= 1.0 - incident.share
    return odds


def _pick(weighted: tuple[tuple[T, float], ...]) -> Callable[[Random], T]:
    values = [value for value, _ in weighted]
    bounds = list(accumulate(weight for _, weight in weighted))
    return lambda rng: rng.choices(values, cum_weights=bounds)[0]
