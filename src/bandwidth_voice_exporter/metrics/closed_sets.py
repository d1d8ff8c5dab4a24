"""The closed sets of label values, as types: a misspelt one is no new series but a type's error."""

from typing import Final, Literal, get_args

# The outcome of an event.
Result = Literal["counted", "duplicate", "ignored", "passed"]
COUNTED: Final = "counted"
DUPLICATE: Final = "duplicate"
IGNORED: Final = "ignored"
PASSED: Final = "passed"

# Every reason for which a request on the webhook listener gives no event.
RejectionReason = Literal[
    "unauthenticated",
    "unauthorized",
    "malformed",
    "too_large",
    "method",
    "path",
    "aborted",
    "internal",
    "http",
    "headers",
    "timeout",
    "overload",
]
REJECTIONS: tuple[RejectionReason, ...] = get_args(RejectionReason)
# No credentials at all: Bandwidth may send an event so first, and then with them.
UNAUTHENTICATED: Final = "unauthenticated"

# Labels whose values have a cap.
CappedLabel = Literal["application", "cause", "code", "error_id", "event_type"]
CAPPED_LABELS: tuple[CappedLabel, ...] = get_args(CappedLabel)

# Rows of the ledger by how long they are kept, in the order in which they go.
Kind = Literal["normal", "failure"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ListenerName = Literal["ops", "webhook"]
LISTENERS: tuple[ListenerName, ...] = get_args(ListenerName)

# The ledger's operation that failed.
LedgerOperation = Literal["open", "append", "upkeep", "recover", "checkpoint"]
LEDGER_OPERATIONS: tuple[LedgerOperation, ...] = get_args(LedgerOperation)

# Why a handler gave no answer: not reached, not trusted, too late, cut off, not HTTP or none that
# can be passed on; or it was not asked: too many wait for it, it is this exporter itself, the end.
ForwardReason = Literal[
    "connect", "tls", "timeout", "reset", "protocol", "overload", "loop", "stopped"
]
FORWARD_REASONS: tuple[ForwardReason, ...] = get_args(ForwardReason)

# The ledger's verdict on an ended call that is listed: a webhook reported it; none did, and it is
# counted now, or only reported; or it cannot be said, since none ever reported its application and
# direction, not of all of them, or of too few, since rows of its time are pruned or may be missing
# otherwise, or since it has no id.
Verdict = Literal[
    "counted",
    "recorded",
    "missed",
    "not_configured",
    "partial",
    "too_few",
    "pruned",
    "doubted",
    "no_id",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

# Why a comparison was not finished: Bandwidth was not reached, not trusted, too late or cut off,
# gave no token or did not take it, does not let these credentials see the calls, knows no such
# account, did not understand, was asked too often, had an error or made no sense, or has another
# date; the ledger does not work; a mistake in the exporter.
ReconcileFailure = Literal[
    "connect",
    "tls",
    "timeout",
    "reset",
    "token",
    "unauthorized",
    "forbidden",
    "not_found",
    "invalid",
    "rate_limited",
    "server",
    "malformed",
    "ledger",
    "credentials",
    "clock",
    "internal",
]
RECONCILE_FAILURES: tuple[ReconcileFailure, ...] = get_args(ReconcileFailure)
