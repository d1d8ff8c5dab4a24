"""The requests that gave no event, Bandwidth's questions apart."""

from collections.abc import Mapping

import msgspec

from bandwidth_voice_exporter.metrics import (
    UNAUTHENTICATED,
    Instruments,
    RejectionReason,
    catalog,
)

MEANINGS: Mapping[RejectionReason, str] = {
    "unauthenticated": "No credentials, and no event with them followed: enter them at Bandwidth "
    "(CallbackCreds of the application, username and password of a call), or see whether a proxy "
    "takes the Authorization header off.",
    "unauthorized": "Wrong credentials: compare those that Bandwidth has (CallbackCreds of the "
    "application, username and password of a call) with the exporter's.",
    "malformed": "Not a JSON object, or a GET without a query: often a browser.",
    "too_large": "Larger than --webhook.max-body-bytes.",
    "method": "Neither POST nor GET.",
    "path": "Not the webhook's path: a mistake in a URL, or a scanner.",
    "aborted": "The client closed the connection before the request was whole.",
    "internal": "A bug in the exporter; the log has the details. It was not answered.",
    "http": "Not HTTP: https sent to a listener without TLS, for example.",
    "headers": "Headers that are too many or too large.",
    "timeout": "It did not come in time.",
    "overload": "Closed to make room for other connections.",
}

_STRAY = 5  # visits without credentials that lose no event


class Rejection(msgspec.Struct, frozen=True):
    """Requests that gave no event for a reason, since the start; ``last`` in microseconds."""

    reason: str
    meaning: str
    count: int
    last: int


class Questions(msgspec.Struct, frozen=True):
    """Requests without credentials, where they are no refusals: as many, and without an event.

    They are none once events with credentials come, as they do after a question.
    """

    asked: int = 0
    unfollowed: int = 0
    are_refusals: bool = True


def questions_of(instruments: Instruments) -> Questions:
    """Return the questions since the start."""
    events = sum(instruments.by(catalog.EVENTS, "result").values())
    if not events or instruments.is_unanswered:
        return Questions()
    asked = instruments.by(catalog.REJECTED, "reason")[UNAUTHENTICATED]
    unfollowed = int(asked - events)
    return Questions(int(asked), unfollowed if unfollowed > _STRAY else 0, are_refusals=False)


def rejections_of(instruments: Instruments, questions: Questions) -> list[Rejection]:
    """Return the reasons that there were, the last one first."""
    counts = instruments.by(catalog.REJECTED, "reason")
    return [
        Rejection(reason, MEANINGS[reason], int(counts[reason]), last)
        for reason, last in reversed(instruments.last_rejections.items())
        if questions.are_refusals or reason != UNAUTHENTICATED
    ]
