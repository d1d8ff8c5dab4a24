"""The fold: ended calls, in the order of their rows, into counters and histograms.

Pure: the same rows give the same totals, whenever they are folded. No clock, no I/O.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.closed_sets import CappedLabel
from bandwidth_voice_exporter.metrics.error_ids import ErrorIds
from bandwidth_voice_exporter.metrics.known import ANSWERED, REJECTION_CODES, known
from bandwidth_voice_exporter.metrics.minutes import MINUTE, Ended, Minutes
from bandwidth_voice_exporter.metrics.native import Both
from bandwidth_voice_exporter.metrics.series import Count, Exemplar, Histogram, ids_of
from bandwidth_voice_exporter.metrics.series_set import SeriesSet
from bandwidth_voice_exporter.metrics.totals import Limits, Totals
from bandwidth_voice_exporter.voice import (
    CAUSES,
    DISCONNECT,
    HANGUP,
    SECOND,
    CallEnded,
    fault_domain,
    labels,
)

SHORT_CALL = 6 * SECOND

_MAX_NEW_REJECTION_CODES = 20

_NEVER = 2**63  # microseconds


class _Kind(msgspec.Struct, frozen=True):
    """A kind of call: the series that its calls are counted in, the labels that are ``other``."""

    cause: str
    calls: Count
    reconciled: Count
    last: Count
    talk: Count
    short: Count
    duration: Histogram | Both
    setup: Histogram | Both
    unanswered: Histogram | Both
    queue: Histogram | Both
    overflow: tuple[CappedLabel, ...]


class _CallBounds(NamedTuple):
    """The bounds of a call's histograms, in microseconds."""

    duration: tuple[int, ...]
    setup: tuple[int, ...]
    unanswered: tuple[int, ...]
    queue: tuple[int, ...]


class Tally(SeriesSet):
    """Totals by metric and label set, from the first call on.

    It goes on from ``past``; known label sets that are not in there are born at ``born``.
    """

    def __init__(self, limits: Limits, born: int, past: Totals | None = None) -> None:
        past = past or Totals({}, {}, {}, [], [], [], ErrorIds(0, 0, 0))
        super().__init__(past, limits)
        self._causes = labels.Admitted(
            frozenset(CAUSES) | labels.RESERVED, limits.max_new_causes, past.causes
        )
        self._applications = labels.Admitted(
            frozenset(limits.applications) | labels.RESERVED,
            limits.max_applications,
            past.applications,
        )
        self._codes = labels.Admitted(
            frozenset(map(str, REJECTION_CODES)), _MAX_NEW_REJECTION_CODES, past.codes
        )
        self._error_ids = msgspec.structs.replace(
            past.error_ids,
            cap=limits.max_error_ids,
            per_minute=limits.max_new_error_ids_per_minute,
            min_age=2 * limits.newborn_hold,
        )
        while surplus := self._error_ids.surplus():
            self._drop_error(surplus)
        self._delay = self._histogram(catalog.DELAY, (), born)
        self._delay_bounds = self._bounds[catalog.DELAY.name]
        timed = (catalog.DURATION, catalog.SETUP, catalog.UNANSWERED, catalog.QUEUE)
        self._call_bounds = _CallBounds(*(self._bounds[metric.name] for metric in timed))
        self._kinds: dict[tuple[str, str, str, bool, bool], _Kind] = {}
        self._bear_known(born)
        self._minutes = Minutes(0, self._ended())
        self._minute_begins, self._minute_ends = 0, _NEVER

    def totals(self) -> Totals:
        """Return what to go on from; it shares its contents with the tally."""
        return Totals(
            self.counts,
            self.histograms,
            self.newborn,
            self._causes.admitted,
            self._applications.admitted,
            self._codes.admitted,
            self._error_ids,
            self.natives,
        )

    def fold(self, call: CallEnded) -> tuple[CappedLabel, ...]:
        """Count a call leg; return the labels whose cap put it under ``other``."""
        if not self._minute_begins <= call.received < self._minute_ends:
            self._turn(call.received)
        if call.delay is not None:
            self._delay.observe(self._delay_bounds, call.delay, None)
        if call.event_type == DISCONNECT:
            return self._fold_call(call)
        cause, _ = self._causes.admit(call.cause)
        key = (call.direction, cause, fault_domain(cause), ANSWERED[call.answered])
        self._count(catalog.TRANSFER_LEGS, key, call.received).value += 1
        return ("cause",) if cause == labels.OTHER else ()

    def admissions(self) -> dict[CappedLabel, labels.Admitted]:
        """Return what lets values in that other exporters name too."""
        return {"cause": self._causes, "application": self._applications}

    def watch(self, at: int) -> None:
        """Tell minutes apart from a time in microseconds on: loaded calls are of none."""
        self._minutes = Minutes(at // MINUTE, self._ended())
        self._begin_minute(at)

    def minutes(self) -> Mapping[int, Ended]:
        """Return what ended in each minute since ``watch``, by its number since 1970."""
        return self._minutes.known(self._ended())

    def causes(self) -> list[str]:
        """Return the causes that have a value of their own, those not documented last."""
        return [*CAUSES, *self._causes.admitted]

    def applications(self) -> list[str]:
        """Return the applications (ids) that have a value of their own, configured ones first."""
        return [*self.limits.applications, *self._applications.admitted]

    def settle(self, now: int) -> None:
        """Forget the births that a hold has passed since, at a time in microseconds.

        So are those a hold ahead: after a clock was set back nothing is held for longer.
        """
        if self.newborn:
            hold = self.limits.newborn_hold
            self.newborn = {
                key: born for key, born in self.newborn.items() if -hold < now - born < hold
            }

    def _turn(self, at: int) -> None:
        self._minutes.turn(at // MINUTE, self._ended())
        self._begin_minute(at)

    def _begin_minute(self, at: int) -> None:
        self._minute_begins = at - at % MINUTE
        self._minute_ends = self._minute_begins + MINUTE

    def _ended(self) -> Ended:
        return Ended(self.by_cause(), tuple(self._delay.counts))

    def _fold_call(self, call: CallEnded) -> tuple[CappedLabel, ...]:
        at = call.received
        key = (call.application, call.direction, call.cause, call.answered, call.is_reconciled)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kind(call)
            if not kind.overflow:  # of which there may be many
                self._kinds[key] = kind
        ids = ids_of(call) if self.limits.exemplars else None
        overflow = kind.overflow

        kind.calls.value += 1
        if ids:
            kind.calls.exemplar = Exemplar(ids, SECOND, at)  # one call
        kind.reconciled.value += call.is_reconciled
        kind.last.value = at
        bounds = self._call_bounds
        if (talk := call.talk) is not None:
            kind.talk.value += talk
            kind.short.value += talk <= SHORT_CALL
            kind.duration.observe(bounds.duration, talk, Exemplar(ids, talk, at) if ids else None)
        if (setup := call.setup) is not None:
            kind.setup.observe(bounds.setup, setup, Exemplar(ids, setup, at) if ids else None)
        if call.unanswered is not None:
            kind.unanswered.observe(bounds.unanswered, call.unanswered, None)
        if call.queue is not None:
            kind.queue.observe(bounds.queue, call.queue, None)
        if call.sip_response_code is not None:
            code, _ = self._codes.admit(str(call.sip_response_code))
            self._count(catalog.SIP_REJECTIONS, (code,), at).value += 1
            overflow += ("code",) if code == labels.OTHER else ()
        if kind.cause != HANGUP or call.error_id:
            overflow += self._fold_error(call, kind.cause)
        return overflow

    def _kind(self, call: CallEnded) -> _Kind:
        """Find the series of a call's kind."""
        at = call.received
        cause, _ = self._causes.admit(call.cause)  # a new one's label sets are born as they come
        application, is_new = self._applications.admit(call.application)
        if is_new:
            self.bear_application(application, at)
        domain = fault_domain(cause)
        overflow: tuple[CappedLabel, ...] = ("cause",) if cause == labels.OTHER else ()
        overflow += ("application",) if application == labels.OTHER else ()
        key = (application, call.direction, cause, domain, ANSWERED[call.answered])
        return _Kind(
            cause=cause,
            calls=self._count(catalog.CALLS, key, at),
            reconciled=self._reconciled(call, key, at),
            last=self._last(call, key[:1], at),
            talk=self._count(catalog.TALK, key[:2], at),
            short=self._count(catalog.SHORT_CALLS, key[:2], at),
            duration=self._observed(catalog.DURATION, application, (call.direction, domain), at),
            setup=self._observed(catalog.SETUP, application, (call.direction,), at),
            unanswered=self._observed(
                catalog.UNANSWERED, application, (call.direction, domain), at
            ),
            queue=self._observed(catalog.QUEUE, application, (call.direction,), at),
            overflow=overflow,
        )

    def _fold_error(self, call: CallEnded, cause: str) -> tuple[CappedLabel, ...]:
        counts = self.counts[catalog.CALL_ERRORS.name]
        key = (call.direction, cause, call.error_id or labels.NONE)
        overflow: tuple[CappedLabel, ...] = ()
        if call.error_id and key not in counts:
            if self._error_ids.admit(key, cause, call.received):
                if surplus := self._error_ids.surplus():
                    self._drop_error(surplus)
            else:
                key = (call.direction, cause, labels.OTHER)
                overflow = ("error_id",)
        self._count(catalog.CALL_ERRORS, key, call.received).value += 1
        return overflow

    def _bear_known(self, born: int) -> None:
        # Without a configured application, every documented cause is there at 0 all the same.
        configured = self.limits.applications or (labels.MISSING,)
        for application in (*configured, *self._applications.admitted):
            self.bear_application(application, born)
        self._bear(known(), born)
