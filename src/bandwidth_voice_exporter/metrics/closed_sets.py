"""The closed sets of label values, as types: a misspelt one is no new series but a type's error."""

from typing import Final, Literal, get_args

# What became of an event.
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

# What the ledger was at when it failed.
LedgerOperation = Literal["open", "append", "upkeep", "recover", "checkpoint"]
LEDGER_OPERATIONS: tuple[LedgerOperation, ...] = get_args(LedgerOperation)

# Why a handler gave no answer: not reached, not trusted, too late, cut off, not HTTP or none that
# can be passed on; or it was not asked: too many wait for it, it is this exporter itself, the end.
ForwardReason = Literal[
    "connect", "tls", "timeout", "reset", "protocol", "overload", "loop", "stopped"
]
FORWARD_REASONS: tuple[ForwardReason, ...] = get_args(ForwardReason)
