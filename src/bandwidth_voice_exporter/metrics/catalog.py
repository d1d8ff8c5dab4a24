"""Every metric the exporter exposes: name, kind, help, labels and buckets, in one table.

The collector, the instruments, the dashboards and the documentation read this table, so that a
renamed metric breaks the build and not somebody's alert.
"""

from collections.abc import Iterable
from typing import Literal, TypeVar

import msgspec

_Value = TypeVar("_Value", int, float)

MetricKind = Literal["counter", "gauge", "histogram"]


class Metric(msgspec.Struct, frozen=True):
    """One metric family, under the name a sample has in the text format.

    ``native`` is the name of the same values as native histograms by application: another one, for
    a Prometheus that scrapes classic histograms always makes series of both.

    ``micro`` marks values that are kept as whole microseconds and exposed as seconds: integers add
    up to the same total in whatever order a restart adds them.
    """

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    micro: bool = False
    native: str = ""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which Prometheus stores this metric's samples."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)

    def by(
        self, label: str, values: Iterable[tuple[tuple[str, ...], _Value]], **where: str
    ) -> dict[str, _Value]:
        """Add up series' values by one label, of those whose other labels are as ``where`` says."""
        place = self.labels.index(label)
        wanted = [(self.labels.index(name), text) for name, text in where.items()]
        sums: dict[str, _Value] = {}
        for key, value in values:
            if not wanted or all(key[other] == text for other, text in wanted):
                sums[key[place]] = sums.get(key[place], 0) + value
        return sums


_RING_BUCKETS = (0.5, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 45, 60, 120, 300)

CALLS = Metric(
    "bandwidth_voice_calls_total",
    "counter",
    "Ended calls: every disconnect event once, by cause; answered is true where answerTime is.",
    ("application", "direction", "cause", "fault_domain", "answered"),
)
RECONCILED_CALLS = Metric(
    "bandwidth_voice_reconciled_calls_total",
    "counter",
    "Calls in calls_total that no webhook reported, counted later from Bandwidth's list of calls.",
    CALLS.labels,
)
SHORT_CALLS = Metric(
    "bandwidth_voice_short_calls_total",
    "counter",
    "Answered calls of at most 6 seconds from answerTime to endTime.",
    ("application", "direction"),
)
TALK = Metric(
    "bandwidth_voice_call_talk_seconds_total",
    "counter",
    "Sum of the time from answerTime to endTime of answered calls.",
    ("application", "direction"),
    micro=True,
)
TRANSFER_LEGS = Metric(
    "bandwidth_voice_transfer_legs_total",
    "counter",
    "Ended second legs of transfers: every transferDisconnect event once, by cause.",
    ("direction", "cause", "fault_domain", "answered"),
)
DURATION = Metric(
    "bandwidth_voice_call_duration_seconds",
    "histogram",
    "Time from answerTime to endTime of answered calls.",
    ("direction", "fault_domain"),
    (1, 3, 6, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400),
    micro=True,
    native="bandwidth_voice_application_call_duration_seconds",
)
SETUP = Metric(
    "bandwidth_voice_call_setup_seconds",
    "histogram",
    "Time from startTime to answerTime of answered calls.",
    ("direction",),
    _RING_BUCKETS,
    micro=True,
    native="bandwidth_voice_application_call_setup_seconds",
)
UNANSWERED = Metric(
    "bandwidth_voice_call_unanswered_seconds",
    "histogram",
    "Time from startTime to endTime of calls that were never answered.",
    ("direction", "fault_domain"),
    _RING_BUCKETS,
    micro=True,
    native="bandwidth_voice_application_call_unanswered_seconds",
)
QUEUE = Metric(
    "bandwidth_voice_call_queue_seconds",
    "histogram",
    "Time from enqueuedTime to startTime of calls that were queued.",
    ("direction",),
    (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 240, 300),
    micro=True,
    native="bandwidth_voice_application_call_queue_seconds",
)
SIP_REJECTIONS = Metric(
    "bandwidth_voice_sip_rejections_total",
    "counter",
    "Calls whose INVITE was rejected, by sipResponseCode (300 to 699).",
    ("code",),
)
CALL_ERRORS = Metric(
    "bandwidth_voice_call_errors_total",
    "counter",
    "Failed calls by errorId: the most recent ids; other counts the rest, none those without one.",
    ("direction", "cause", "error_id"),
)
LAST_EVENT = Metric(
    "bandwidth_voice_last_event_timestamp_seconds",
    "gauge",
    "When the last disconnect event was received, in seconds since 1970; 0 before the first.",
    ("application",),
    micro=True,
)
DELAY = Metric(
    "bandwidth_voice_webhook_delay_seconds",
    "histogram",
    "Time from eventTime to the receipt of a disconnect or transferDisconnect event.",
    (),
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300),
    micro=True,
)

CALL_METRICS = (
    CALLS,
    RECONCILED_CALLS,
    SHORT_CALLS,
    TALK,
    TRANSFER_LEGS,
    DURATION,
    SETUP,
    UNANSWERED,
    QUEUE,
    SIP_REJECTIONS,
    CALL_ERRORS,
    LAST_EVENT,
    DELAY,
)

WEBHOOK_REQUESTS = Metric(
    "bandwidth_voice_exporter_webhook_requests_total",
    "counter",
    "Requests answered on the webhook listener, by HTTP status code.",
    ("code",),
)
EVENTS = Metric(
    "bandwidth_voice_exporter_events_total",
    "counter",
    "Events by eventType: counted, duplicate (seen before), or, not about a call's end, passed (on "
    "to a handler) or ignored.",
    ("event_type", "result"),
)
REJECTED = Metric(
    "bandwidth_voice_exporter_rejected_total",
    "counter",
    "Requests on the webhook listener that no event was taken from, by reason.",
    ("reason",),
)
FIELD_ERRORS = Metric(
    "bandwidth_voice_exporter_field_errors_total",
    "counter",
    "Fields that could not be used, in events that were counted all the same.",
    ("field", "reason"),
)
LABEL_OVERFLOW = Metric(
    "bandwidth_voice_exporter_label_overflow_total",
    "counter",
    "Values counted under other because their label had reached its cap.",
    ("label",),
)
CREDENTIALS_LOADED = Metric(
    "bandwidth_voice_exporter_credentials_last_load_successful",
    "gauge",
    "1 where the credentials files, and the handlers' certificates, could be used when last read; "
    "0 where old ones stay.",
)
WEB_CONFIG_LOADED = Metric(
    "bandwidth_voice_exporter_web_config_last_load_successful",
    "gauge",
    "1 where TLS files and users could be used when last read; 0 where the old ones stay.",
    ("listener",),
)
CERTIFICATE_ENDS = Metric(
    "bandwidth_voice_exporter_certificate_not_after_timestamp_seconds",
    "gauge",
    "When the listener's certificate ends, in seconds since 1970; no series without TLS.",
    ("listener",),
)
TLS_HANDSHAKE_ERRORS = Metric(
    "bandwidth_voice_exporter_tls_handshake_errors_total",
    "counter",
    "TLS handshakes that either side gave up.",
    ("listener",),
)
LEDGER_UP = Metric(
    "bandwidth_voice_exporter_ledger_up",
    "gauge",
    "1 where calls are recorded as configured; 0 where the disk fails and memory holds them.",
)
LEDGER_IN_MEMORY = Metric(
    "bandwidth_voice_exporter_ledger_in_memory",
    "gauge",
    "1 where there is no storage path: all counts are lost when the exporter ends.",
)
LEDGER_ROWS = Metric(
    "bandwidth_voice_exporter_ledger_rows",
    "gauge",
    "Call legs in the ledger.",
)
LEDGER_BYTES = Metric(
    "bandwidth_voice_exporter_ledger_bytes",
    "gauge",
    "Size of the ledger on disk, write-ahead log included.",
)
LEDGER_WAL_BYTES = Metric(
    "bandwidth_voice_exporter_ledger_wal_bytes",
    "gauge",
    "Size of the ledger's write-ahead log.",
)
LEDGER_WAL_HELD = Metric(
    "bandwidth_voice_exporter_ledger_wal_held",
    "gauge",
    "1 where a reader of the ledger keeps its write-ahead log growing; calls are recorded.",
)
LEDGER_FILESYSTEM_UNKNOWN = Metric(
    "bandwidth_voice_exporter_ledger_filesystem_unknown",
    "gauge",
    "1 where the ledger is on a kind of file system not known to keep it; the log names it.",
)
LEDGER_COMMIT = Metric(
    "bandwidth_voice_exporter_ledger_commit_seconds",
    "histogram",
    "Time that a commit of one or more calls took.",
    (),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LEDGER_ERRORS = Metric(
    "bandwidth_voice_exporter_ledger_errors_total",
    "counter",
    "Disk operations of the ledger that failed.",
    ("operation",),
)
LEDGER_NOT_RECORDED = Metric(
    "bandwidth_voice_exporter_ledger_events_not_recorded_total",
    "counter",
    "Events that were counted and answered before the disk had them.",
)
LEDGER_COUNTED_TWICE = Metric(
    "bandwidth_voice_exporter_ledger_counted_twice_total",
    "counter",
    "Calls that this replica counted while the shared ledger was away, and another one too.",
)
LEDGER_PRUNED = Metric(
    "bandwidth_voice_exporter_ledger_pruned_rows_total",
    "counter",
    "Call legs taken out of the ledger for their age or its size; kind is failure or normal.",
    ("kind",),
)
LEDGER_PRUNED_BEFORE = Metric(
    "bandwidth_voice_exporter_ledger_pruned_before_timestamp_seconds",
    "gauge",
    "When the newest call leg taken out was received, in seconds since 1970; 0 before the first.",
    ("kind",),
)
FORWARD_REQUESTS = Metric(
    "bandwidth_voice_exporter_forward_requests_total",
    "counter",
    "Requests that a handler answered, by the path that they came to and its HTTP status code.",
    ("route", "code"),
)
FORWARD_SECONDS = Metric(
    "bandwidth_voice_exporter_forward_seconds",
    "histogram",
    "Time from a request's record to its handler's whole answer, tries in vain included.",
    ("route",),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
FORWARD_FAILURES = Metric(
    "bandwidth_voice_exporter_forward_failures_total",
    "counter",
    "Requests that a handler gave no whole answer to, by the reason of the last try.",
    ("route", "reason"),
)
FORWARD_IN_FLIGHT = Metric(
    "bandwidth_voice_exporter_forward_in_flight",
    "gauge",
    "Requests that wait for a handler just now.",
    ("route",),
)
FORWARD_UP = Metric(
    "bandwidth_voice_exporter_forward_up",
    "gauge",
    "1 where the handler answered, with whatever status, when it was last tried.",
    ("route",),
)
RECONCILE_CALLS = Metric(
    "bandwidth_voice_exporter_reconcile_calls_total",
    "counter",
    "Ended calls of Bandwidth's list by what the ledger says: counted by a webhook, or why not.",
    ("verdict",),
)
RECONCILE_COVERAGE = Metric(
    "bandwidth_voice_exporter_reconcile_coverage_ratio",
    "gauge",
    "Share of the listed calls that webhooks reported, in 7 days and outside known outages.",
    ("application", "direction"),
)
RECONCILE_FAILURES = Metric(
    "bandwidth_voice_exporter_reconcile_failures_total",
    "counter",
    "Comparisons with Bandwidth's list of calls that were not finished, by reason.",
    ("reason",),
)
RECONCILE_SUCCESS = Metric(
    "bandwidth_voice_exporter_reconcile_last_success_timestamp_seconds",
    "gauge",
    "When the last comparison was finished, in seconds since 1970; 0 before the first.",
)
RECONCILE_COMPARED = Metric(
    "bandwidth_voice_exporter_reconcile_compared_before_timestamp_seconds",
    "gauge",
    "Start time up to which calls are compared, in seconds since 1970; 0 before the first.",
)
RECONCILE_MISSED_SINCE = Metric(
    "bandwidth_voice_exporter_reconcile_missed_since_timestamp_seconds",
    "gauge",
    "End of the first call missed by webhooks that the last comparison to find any found; 0: none.",
)
RECONCILE_QUEUE = Metric(
    "bandwidth_voice_exporter_reconcile_queue_calls",
    "gauge",
    "Calls in Bandwidth's queue for the account (waiting), and how many it takes (capacity).",
    ("kind",),
)
BUILD_INFO = Metric(
    "bandwidth_voice_exporter_build_info",
    "gauge",
    "Always 1; the labels say which version is running.",
    ("version", "revision", "python_version"),
)

EXPORTER_METRICS = (
    WEBHOOK_REQUESTS,
    EVENTS,
    REJECTED,
    FIELD_ERRORS,
    LABEL_OVERFLOW,
    CREDENTIALS_LOADED,
    WEB_CONFIG_LOADED,
    CERTIFICATE_ENDS,
    TLS_HANDSHAKE_ERRORS,
    LEDGER_UP,
    LEDGER_IN_MEMORY,
    LEDGER_ROWS,
    LEDGER_BYTES,
    LEDGER_WAL_BYTES,
    LEDGER_WAL_HELD,
    LEDGER_FILESYSTEM_UNKNOWN,
    LEDGER_COMMIT,
    LEDGER_ERRORS,
    LEDGER_NOT_RECORDED,
    LEDGER_COUNTED_TWICE,
    LEDGER_PRUNED,
    LEDGER_PRUNED_BEFORE,
    FORWARD_REQUESTS,
    FORWARD_SECONDS,
    FORWARD_FAILURES,
    FORWARD_IN_FLIGHT,
    FORWARD_UP,
    RECONCILE_CALLS,
    RECONCILE_COVERAGE,
    RECONCILE_FAILURES,
    RECONCILE_SUCCESS,
    RECONCILE_COMPARED,
    RECONCILE_MISSED_SINCE,
    RECONCILE_QUEUE,
    BUILD_INFO,
)

METRICS = (*CALL_METRICS, *EXPORTER_METRICS)
