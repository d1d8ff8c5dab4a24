"""The series that are known from the start, and so there at 0 before the first call."""

from collections.abc import Iterator
from itertools import product

from bandwidth_voice_exporter.metrics import catalog
from bandwidth_voice_exporter.metrics.catalog import Metric
from bandwidth_voice_exporter.metrics.error_ids import Key
from bandwidth_voice_exporter.voice import (
    CAUSES,
    DIRECTIONS,
    FAULT_DOMAINS,
    HANGUP,
    fault_domain,
    labels,
)

# The final responses of RFC 3261 and its successors; others are let in up to the cap.
REJECTION_CODES = (
    *(300, 301, 302, 305, 380),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421, 422, 423),
    *(480, 481, 482, 483, 484, 485, 486, 487, 488, 491, 493),
    *(500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608),
)

ANSWERED = {True: "true", False: "false"}
_TRANSFER_DIRECTION = "outbound"  # that of every second leg


def known() -> Iterator[tuple[Metric, Key]]:
    """Yield those of no application."""
    yield catalog.DELAY, ()
    for cause, answered in product(CAUSES, ANSWERED.values()):
        key = (_TRANSFER_DIRECTION, cause, fault_domain(cause), answered)
        yield catalog.TRANSFER_LEGS, key
    failures = (cause for cause in CAUSES if cause != HANGUP)
    for error_key in product(DIRECTIONS, failures, (labels.NONE, labels.OTHER)):
        yield catalog.CALL_ERRORS, error_key
    for direction in DIRECTIONS:
        yield catalog.SETUP, (direction,)
        yield catalog.QUEUE, (direction,)
        for domain in FAULT_DOMAINS:
            yield catalog.DURATION, (direction, domain)
            yield catalog.UNANSWERED, (direction, domain)
    for code in REJECTION_CODES:
        yield catalog.SIP_REJECTIONS, (str(code),)


def known_of(application: str, *, reconciles: bool) -> Iterator[tuple[Metric, Key]]:
    """Yield those of an application."""
    for direction in DIRECTIONS:
        for cause, answered in product(CAUSES, ANSWERED.values()):
            key = (application, direction, cause, fault_domain(cause), answered)
            yield catalog.CALLS, key
            if reconciles:
                yield catalog.RECONCILED_CALLS, key
        yield catalog.TALK, (application, direction)
        yield catalog.SHORT_CALLS, (application, direction)
    yield catalog.LAST_EVENT, (application,)


def known_natives_of(application: str) -> Iterator[tuple[Metric, Key]]:
    """Yield an application's native histograms."""
    for direction in DIRECTIONS:
        for metric in (catalog.SETUP, catalog.QUEUE):
            yield metric, (application, direction)
        for metric, domain in product((catalog.DURATION, catalog.UNANSWERED), FAULT_DOMAINS):
            yield metric, (application, direction, domain)
