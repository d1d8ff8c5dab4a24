"""The exporter's call metrics, as a receiver written by hand keeps them with prometheus_client.

Nothing is stored and nothing is recognised as delivered before; an error id is no label, since by
hand nobody bounds how many there are.
"""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

_DOMAINS = {
    "hangup": "none",
    "busy": "user",
    "timeout": "user",
    "cancel": "user",
    "rejected": "user",
    "callback-error": "application",
    "invalid-bxml": "application",
    "application-error": "application",
    "account-limit": "account",
    "node-capacity-exceeded": "bandwidth",
    "error": "bandwidth",
    "unknown": "bandwidth",
}
_DURATIONS = (1, 3, 6, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_RINGING = (0.5, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 45, 60, 120, 300)
_QUEUE = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 240, 300)
_DELAYS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300)
_KIND = ("direction", "cause", "fault_domain", "answered")

CALLS = Counter("bandwidth_voice_calls", "Ended calls.", ("application", *_KIND))
SHORT = Counter("bandwidth_voice_short_calls", "Short calls.", ("application", "direction"))
TALK = Counter("bandwidth_voice_call_talk_seconds", "Talk.", ("application", "direction"))
LEGS = Counter("bandwidth_voice_transfer_legs", "Ended second legs.", _KIND)
REJECTIONS = Counter("bandwidth_voice_sip_rejections", "Rejected INVITEs.", ("code",))
ERRORS = Counter("bandwidth_voice_call_errors", "Failed calls.", ("direction", "cause"))
LAST = Gauge("bandwidth_voice_last_event_timestamp_seconds", "Last event.", ("application",))
DURATION = Histogram(
    "bandwidth_voice_call_duration_seconds",
    "Answered calls.",
    ("direction", "fault_domain"),
    buckets=_DURATIONS,
)
SETUP = Histogram(
    "bandwidth_voice_call_setup_seconds", "Ringing.", ("direction",), buckets=_RINGING
)
UNANSWERED = Histogram(
    "bandwidth_voice_call_unanswered_seconds",
    "Unanswered calls.",
    ("direction", "fault_domain"),
    buckets=_RINGING,
)
QUEUE = Histogram("bandwidth_voice_call_queue_seconds", "Queue.", ("direction",), buckets=_QUEUE)
DELAY = Histogram("bandwidth_voice_webhook_delay_seconds", "Delay.", buckets=_DELAYS)
REQUESTS = Counter("bandwidth_voice_exporter_webhook_requests", "Requests.", ("code",))

Times = Mapping[str, datetime | None]


def count(  # noqa: PLR0913  # the fields of an event
    *,
    event_type: str,
    application: str,
    direction: str,
    cause: str,
    sip_response_code: int | None,
    times: Times,
    received: datetime,
) -> None:
    """Count an ended call or leg; ``times`` are the event's, by the names of its fields."""
    domain = _DOMAINS.get(cause, "unclassified")
    start, answer, end = times["startTime"], times["answerTime"], times["endTime"]
    answered = "true" if answer else "false"
    if happened := times["eventTime"]:
        DELAY.observe(max(0.0, (received - happened).total_seconds()))
    if event_type == "transferDisconnect":
        LEGS.labels(direction, cause, domain, answered).inc()
        return
    CALLS.labels(application, direction, cause, domain, answered).inc()
    LAST.labels(application).set(received.timestamp())
    if answer and end:
        seconds = (end - answer).total_seconds()
        TALK.labels(application, direction).inc(seconds)
        DURATION.labels(direction, domain).observe(seconds)
        if seconds <= 6:  # what a short call is
            SHORT.labels(application, direction).inc()
    if answer and start:
        SETUP.labels(direction).observe((answer - start).total_seconds())
    if end and start and not answer:
        UNANSWERED.labels(direction, domain).observe((end - start).total_seconds())
    if start and (enqueued := times["enqueuedTime"]):
        QUEUE.labels(direction).observe((start - enqueued).total_seconds())
    if sip_response_code:
        REJECTIONS.labels(str(sip_response_code)).inc()
    if cause != "hangup":
        ERRORS.labels(direction, cause).inc()
