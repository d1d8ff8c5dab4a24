"""The fold: ended calls, in the order of their rows, into counters and histograms.

Pure: the same rows give the same totals, whenever they are folded. No clock, no I/O.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import product

import msgspec

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import Metric
from bandwidth_voice_exporter.metrics.error_ids import ErrorIds, Key
from bandwidth_voice_exporter.metrics.minutes import MINUTE, Ended, Minutes
from bandwidth_voice_exporter.metrics.series import Count, Exemplar, Histogram
from bandwidth_voice_exporter.voice import (
    CAUSES,
    DIRECTIONS,
    DISCONNECT,
    FAULT_DOMAINS,
    HANGUP,
    SECOND,
    CallEnded,
    fault_domain,
    labels,
)

SHORT_CALL = 6 * SECOND

# The final responses of RFC 3261 and its successors; others are let in up to the cap.
_REJECTION_CODES = (
    *(300, 301, 302, 305, 380),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421, 422, 423),
    *(480, 481, 482, 483, 484, 485, 486, 487, 488, 491, 493),
    *(500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608),
)
_MAX_NEW_REJECTION_CODES = 20

_NEVER = 2**63  # microseconds

_TRANSFER_DIRECTION = "outbound"  # that of every second leg
_ANSWERED = {True: "true", False: "false"}


class Limits(msgspec.Struct, frozen=True):
    """What bounds the tally: configured application ids, caps, and the newborn hold (µs).

    Where ``reconciles``, each series of calls has one of those that were reconciled beside it.
    """

    applications: tuple[str, ...] = ()
    max_applications: int = 50
    max_new_causes: int = 8
    max_error_ids: int = 100
    max_new_error_ids_per_minute: int = 10
    newborn_hold: int = 65 * SECOND
    exemplars: bool = True
    reconciles: bool = False


class Totals(msgspec.Struct):
    """What a tally has come to: all that the same calls, folded again, would give."""

    counts: dict[str, dict[Key, Count]]
    histograms: dict[str, dict[Key, Histogram]]
    newborn: dict[tuple[str, Key], int]
    causes: list[str]
    applications: list[str]
    codes: list[str]
    error_ids: ErrorIds

    def drop_applications(self, identifiers: Collection[str]) -> None:
        """Let the counters of some applications begin anew."""
        for metric in catalog.CALL_METRICS:
            if metric.kind == "counter" and "application" in metric.labels:
                place = metric.labels.index("application")
                series = self.counts.get(metric.name, {})
                for key in [key for key in series if key[place] in identifiers]:
                    del series[key]


class _Kind(msgspec.Struct, frozen=True):
    """A kind of call: the series that its calls are counted in, the labels that are ``other``."""

    cause: str
    calls: Count
    reconciled: Count
    last: Count
    talk: Count
    short: Count
    duration: Histogram
    setup: Histogram
    unanswered: Histogram
    queue: Histogram
    overflow: tuple[str, ...]


class Tally:
    """Totals by metric and label set, from the first call on.

    ``counts`` and ``histograms`` are keyed by the metric's name, then by its label values in the
    catalog's order; an application stands under its id. ``newborn`` has the birth (microseconds)
    of every label set that may not have been scraped at 0 yet; ``settle`` forgets the old ones.
    It goes on from ``past``; what is known and not in there is born at ``born``.
    """

    def __init__(self, limits: Limits, born: int, past: Totals | None = None) -> None:
        past = past or Totals({}, {}, {}, [], [], [], ErrorIds(0, 0, 0))
        self.counts = past.counts
        self.histograms = past.histograms
        self.newborn = past.newborn
        self.limits = limits
        self._bounds = {
            metric.name: tuple(int(bound * SECOND) for bound in metric.buckets)
            for metric in catalog.CALL_METRICS
        }
        self._causes = labels.Admission(
            frozenset(CAUSES) | labels.RESERVED, limits.max_new_causes, past.causes
        )
        self._applications = labels.Admission(
            frozenset(limits.applications) | labels.RESERVED,
            limits.max_applications,
            past.applications,
        )
        self._codes = labels.Admission(
            frozenset(map(str, _REJECTION_CODES)), _MAX_NEW_REJECTION_CODES, past.codes
        )
        self._error_ids = msgspec.structs.replace(
            past.error_ids,
            cap=limits.max_error_ids,
            per_minute=limits.max_new_error_ids_per_minute,
            min_age=2 * limits.newborn_hold,
        )
        while surplus := self._error_ids.surplus():
            self._drop_error(surplus)
        for metric in catalog.CALL_METRICS:
            series = self.histograms if metric.kind == "histogram" else self.counts
            series.setdefault(metric.name, {})
        self._delay = self._histogram(catalog.DELAY, (), born)
        self._delay_bounds = self._bounds[catalog.DELAY.name]
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
        )

    def fold(self, call: CallEnded) -> tuple[str, ...]:
        """Count a call leg; return the labels whose cap put it under ``other``."""
        if not self._minute_begins <= call.received < self._minute_ends:
            self._turn(call.received)
        if call.delay is not None:
            self._delay.observe(self._delay_bounds, call.delay, None)
        if call.event_type == DISCONNECT:
            return self._fold_call(call)
        cause, _ = self._causes.admit(call.cause)
        key = (call.direction, cause, fault_domain(cause), _ANSWERED[call.answered])
        self._count(catalog.TRANSFER_LEGS, key, call.received).value += 1
        return ("cause",) if cause == labels.OTHER else ()

    def watch(self, at: int) -> None:
        """Tell minutes apart from a time in microseconds on: loaded calls are of none."""
        self._minutes = Minutes(at // MINUTE, self._ended())
        self._begin_minute(at)

    def minutes(self) -> Mapping[int, Ended]:
        """Return what ended in each minute since ``watch``, by its number since 1970."""
        return self._minutes.known(self._ended())

    def by_cause(self) -> Counter[str]:
        """Return all calls by what they ended for."""
        return Counter(catalog.CALLS.by("cause", self._values(catalog.CALLS)))

    def by_application(self) -> dict[str, Counter[str]]:
        """Return each application's calls by what they ended for."""
        applications: dict[str, Counter[str]] = {}
        for (application, _, cause, *_), value in self._values(catalog.CALLS):
            applications.setdefault(application, Counter())[cause] += value
        return applications

    def last_events(self) -> dict[str, int]:
        """Return when each application's last event was received (microseconds; 0 is never)."""
        return catalog.LAST_EVENT.by("application", self._values(catalog.LAST_EVENT))

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

    def step(self, by: int) -> None:
        """Take the births along with a clock that was set by some microseconds."""
        self.newborn = {key: born + by for key, born in self.newborn.items()}

    def _values(self, metric: Metric) -> Iterator[tuple[Key, int]]:
        return ((key, count.value) for key, count in self.counts[metric.name].items())

    def _turn(self, at: int) -> None:
        self._minutes.turn(at // MINUTE, self._ended())
        self._begin_minute(at)

    def _begin_minute(self, at: int) -> None:
        self._minute_begins = at - at % MINUTE
        self._minute_ends = self._minute_begins + MINUTE

    def _ended(self) -> Ended:
        return Ended(self.by_cause(), tuple(self._delay.counts))

    def _fold_call(self, call: CallEnded) -> tuple[str, ...]:
        at = call.received
        key = (call.application, call.direction, call.cause, call.answered, call.is_reconciled)
        kind = self._kinds.get(key) or self._kind(call)
        ids = self._ids(call)
        overflow = kind.overflow

        kind.calls.value += 1
        if ids:
            kind.calls.exemplar = Exemplar(ids, SECOND, at)  # one call
        kind.reconciled.value += call.is_reconciled
        kind.last.value = at
        if call.talk is not None:
            kind.talk.value += call.talk
            kind.short.value += call.talk <= SHORT_CALL
            self._observe(catalog.DURATION, kind.duration, at, call.talk, ids)
        if call.setup is not None:
            self._observe(catalog.SETUP, kind.setup, at, call.setup, ids)
        if call.unanswered is not None:
            self._observe(catalog.UNANSWERED, kind.unanswered, at, call.unanswered)
        if call.queue is not None:
            self._observe(catalog.QUEUE, kind.queue, at, call.queue)
        if call.sip_response_code is not None:
            code, _ = self._codes.admit(str(call.sip_response_code))
            self._count(catalog.SIP_REJECTIONS, (code,), at).value += 1
            overflow += ("code",) if code == labels.OTHER else ()
        if kind.cause != HANGUP or call.error_id:
            overflow += self._fold_error(call, kind.cause)
        return overflow

    def _kind(self, call: CallEnded) -> _Kind:
        """Find the series of a call's kind, and keep them unless there may be many such kinds."""
        at = call.received
        cause, _ = self._causes.admit(call.cause)  # a new one's label sets are born as they come
        application, is_new = self._applications.admit(call.application)
        if is_new:
            self._bear_application(application, at)
        domain = fault_domain(cause)
        overflow = [
            name
            for name, value in (("cause", cause), ("application", application))
            if value == labels.OTHER
        ]
        key = (application, call.direction, cause, domain, _ANSWERED[call.answered])
        kind = _Kind(
            cause=cause,
            calls=self._count(catalog.CALLS, key, at),
            reconciled=self._count(catalog.RECONCILED_CALLS, key, at)
            if self.limits.reconciles or call.is_reconciled
            else Count(),
            last=Count()
            if call.is_reconciled  # no event
            else self._count(catalog.LAST_EVENT, key[:1], at),
            talk=self._count(catalog.TALK, key[:2], at),
            short=self._count(catalog.SHORT_CALLS, key[:2], at),
            duration=self._histogram(catalog.DURATION, (call.direction, domain), at),
            setup=self._histogram(catalog.SETUP, (call.direction,), at),
            unanswered=self._histogram(catalog.UNANSWERED, (call.direction, domain), at),
            queue=self._histogram(catalog.QUEUE, (call.direction,), at),
            overflow=tuple(overflow),
        )
        if not overflow:
            whose = (call.application, call.direction, call.cause, call.answered)
            self._kinds[*whose, call.is_reconciled] = kind
        return kind

    def _fold_error(self, call: CallEnded, cause: str) -> tuple[str, ...]:
        counts = self.counts[catalog.CALL_ERRORS.name]
        key = (call.direction, cause, call.error_id or labels.NONE)
        overflow: tuple[str, ...] = ()
        if call.error_id and key not in counts:
            if self._error_ids.admit(key, cause, call.received):
                if surplus := self._error_ids.surplus():
                    self._drop_error(surplus)
            else:
                key = (call.direction, cause, labels.OTHER)
                overflow = ("error_id",)
        self._count(catalog.CALL_ERRORS, key, call.received).value += 1
        return overflow

    def _drop_error(self, key: Key) -> None:
        self.counts[catalog.CALL_ERRORS.name].pop(key, None)
        self.newborn.pop((catalog.CALL_ERRORS.name, key), None)

    def _observe(
        self,
        metric: Metric,
        histogram: Histogram,
        at: int,
        value: int,
        ids: dict[str, str] | None = None,
    ) -> None:
        exemplar = Exemplar(ids, value, at) if ids else None
        histogram.observe(self._bounds[metric.name], value, exemplar)

    def _ids(self, call: CallEnded) -> dict[str, str] | None:
        """Only ids of Bandwidth's form: OpenMetrics allows 128 characters, and no phone number."""
        if not self.limits.exemplars or not call.call_id or not labels.is_call_id(call.call_id):
            return None
        if call.error_id and labels.is_uuid(call.error_id):
            return {"call_id": call.call_id, "error_id": call.error_id}
        return {"call_id": call.call_id}

    def _count(self, metric: Metric, key: Key, born: int) -> Count:
        series = self.counts[metric.name]
        count = series.get(key)
        if count is None:
            count = series[key] = Count()
            self.newborn[metric.name, key] = born
        return count

    def _histogram(self, metric: Metric, key: Key, born: int) -> Histogram:
        series = self.histograms[metric.name]
        histogram = series.get(key)
        if histogram is None:
            histogram = series[key] = Histogram.of(self._bounds[metric.name])
            self.newborn[metric.name, key] = born
        return histogram

    def _bear_known(self, born: int) -> None:
        # Without a configured application, every documented cause is there at 0 all the same.
        configured = self.limits.applications or (labels.MISSING,)
        for application in (*configured, *self._applications.admitted):
            self._bear_application(application, born)
        for cause, answered in product(CAUSES, _ANSWERED.values()):
            key = (_TRANSFER_DIRECTION, cause, fault_domain(cause), answered)
            self._count(catalog.TRANSFER_LEGS, key, born)
        failures = (cause for cause in CAUSES if cause != HANGUP)
        for error_key in product(DIRECTIONS, failures, (labels.NONE, labels.OTHER)):
            self._count(catalog.CALL_ERRORS, error_key, born)
        for direction in DIRECTIONS:
            self._histogram(catalog.SETUP, (direction,), born)
            self._histogram(catalog.QUEUE, (direction,), born)
            for domain in FAULT_DOMAINS:
                self._histogram(catalog.DURATION, (direction, domain), born)
                self._histogram(catalog.UNANSWERED, (direction, domain), born)
        for code in _REJECTION_CODES:
            self._count(catalog.SIP_REJECTIONS, (str(code),), born)

    def _bear_application(self, application: str, born: int) -> None:
        for direction in DIRECTIONS:
            for cause, answered in product(CAUSES, _ANSWERED.values()):
                key = (application, direction, cause, fault_domain(cause), answered)
                self._count(catalog.CALLS, key, born)
                if self.limits.reconciles:
                    self._count(catalog.RECONCILED_CALLS, key, born)
            self._count(catalog.TALK, (application, direction), born)
            self._count(catalog.SHORT_CALLS, (application, direction), born)
        self._count(catalog.LAST_EVENT, (application,), born)
