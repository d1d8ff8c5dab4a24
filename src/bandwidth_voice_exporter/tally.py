"""The fold: ended calls, in the order of their rows, into counters and histograms.

Pure: the same rows give the same totals, whenever they are folded. No clock, no I/O.
"""

from itertools import product

import msgspec

from bandwidth_voice_exporter import catalog, labels
from bandwidth_voice_exporter.catalog import Metric
from bandwidth_voice_exporter.causes import CAUSES, FAULT_DOMAINS, HANGUP, fault_domain
from bandwidth_voice_exporter.error_ids import ErrorIds, Key
from bandwidth_voice_exporter.event import DIRECTIONS, DISCONNECT, SECOND, CallEnded
from bandwidth_voice_exporter.series import Count, Exemplar, Histogram

SHORT_CALL = 6 * SECOND

# The final responses of RFC 3261 and its successors; others are let in up to the cap.
_REJECTION_CODES = (
    *(300, 301, 302, 305, 380),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421, 422, 423),
    *(480, 481, 482, 483, 484, 485, 486, 487, 488, 491, 493),
    *(500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608),
)
_MAX_NEW_REJECTION_CODES = 20

_TRANSFER_DIRECTION = "outbound"  # that of every second leg
_ANSWERED = {True: "true", False: "false"}


class Limits(msgspec.Struct, frozen=True):
    """What bounds the tally: configured application ids, caps, and the newborn hold (µs)."""

    applications: tuple[str, ...] = ()
    max_applications: int = 50
    max_new_causes: int = 8
    max_error_ids: int = 100
    max_new_error_ids_per_minute: int = 10
    newborn_hold: int = 65 * SECOND
    exemplars: bool = True


class Totals(msgspec.Struct):
    """What a tally has come to: all that the same calls, folded again, would give."""

    counts: dict[str, dict[Key, Count]]
    histograms: dict[str, dict[Key, Histogram]]
    newborn: dict[tuple[str, Key], int]
    causes: list[str]
    applications: list[str]
    codes: list[str]
    error_ids: ErrorIds


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
        self._bear_known(born)

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
        cause, _ = self._causes.admit(call.cause)  # a new one's label sets are born as they come
        overflow: tuple[str, ...] = ("cause",) if cause == labels.OTHER else ()
        if call.delay is not None:
            self._observe(catalog.DELAY, (), call.received, call.delay)
        if call.event_type == DISCONNECT:
            overflow += self._fold_call(call, cause)
        else:
            key = (call.direction, cause, fault_domain(cause), _ANSWERED[call.answered])
            self._count(catalog.TRANSFER_LEGS, key, call.received).value += 1
        return overflow

    def settle(self, now: int) -> None:
        """Forget the births that a hold has passed since, at a time in microseconds.

        So are those a hold ahead: after a clock was set back nothing is held for longer.
        """
        if self.newborn:
            hold = self.limits.newborn_hold
            self.newborn = {
                key: born for key, born in self.newborn.items() if -hold < now - born < hold
            }

    def _fold_call(self, call: CallEnded, cause: str) -> tuple[str, ...]:
        at = call.received
        application, new_application = self._applications.admit(call.application)
        if new_application:
            self._bear_application(application, at)
        domain = fault_domain(cause)
        ids = self._ids(call)
        overflow: tuple[str, ...] = ("application",) if application == labels.OTHER else ()

        key = (application, call.direction, cause, domain, _ANSWERED[call.answered])
        calls = self._count(catalog.CALLS, key, at)
        calls.value += 1
        if ids:
            calls.exemplar = Exemplar(ids, SECOND, at)  # one call
        self._count(catalog.LAST_EVENT, (application,), at).value = at
        if call.talk is not None:
            self._count(catalog.TALK, key[:2], at).value += call.talk
            self._count(catalog.SHORT_CALLS, key[:2], at).value += call.talk <= SHORT_CALL
            self._observe(catalog.DURATION, (call.direction, domain), at, call.talk, ids)
        if call.setup is not None:
            self._observe(catalog.SETUP, (call.direction,), at, call.setup, ids)
        if call.unanswered is not None:
            self._observe(catalog.UNANSWERED, (call.direction, domain), at, call.unanswered)
        if call.queue is not None:
            self._observe(catalog.QUEUE, (call.direction,), at, call.queue)
        if call.sip_response_code is not None:
            code, _ = self._codes.admit(str(call.sip_response_code))
            self._count(catalog.SIP_REJECTIONS, (code,), at).value += 1
            overflow += ("code",) if code == labels.OTHER else ()
        if cause != HANGUP or call.error_id:
            overflow += self._fold_error(call, cause)
        return overflow

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
        self, metric: Metric, key: Key, at: int, value: int, ids: dict[str, str] | None = None
    ) -> None:
        exemplar = Exemplar(ids, value, at) if ids else None
        self._histogram(metric, key, at).observe(self._bounds[metric.name], value, exemplar)

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
        for application in (*self.limits.applications, *self._applications.admitted):
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
        self._histogram(catalog.DELAY, (), born)

    def _bear_application(self, application: str, born: int) -> None:
        for direction in DIRECTIONS:
            for cause, answered in product(CAUSES, _ANSWERED.values()):
                key = (application, direction, cause, fault_domain(cause), answered)
                self._count(catalog.CALLS, key, born)
            self._count(catalog.TALK, (application, direction), born)
            self._count(catalog.SHORT_CALLS, (application, direction), born)
        self._count(catalog.LAST_EVENT, (application,), born)
