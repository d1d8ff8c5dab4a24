"""Bandwidth's event types, from the pages of its voice webhooks."""

DISCONNECT = "disconnect"
TRANSFER_DISCONNECT = "transferDisconnect"
COUNTED_TYPES = (DISCONNECT, TRANSFER_DISCONNECT)

# Event types that are not about a call's end.
IGNORED_TYPES = (
    *("answer", "initiate", "redirect", "gather", "dtmf", "machineDetectionComplete"),
    *("bridgeComplete", "bridgeTargetComplete", "transferAnswer", "transferComplete"),
    "referComplete",
    *("conferenceCreated", "conferenceRedirect", "conferenceMemberJoin", "conferenceMemberExit"),
    *("conferenceCompleted", "conferenceRecordingAvailable"),
    *("recordingComplete", "recordingAvailable", "transcriptionAvailable"),
)

_BY_LOWER_CASE = {one.lower(): one for one in (*COUNTED_TYPES, *IGNORED_TYPES)}


def spelled(event_type: str) -> str:
    """Return an event type as Bandwidth writes it, where only its capitals are others."""
    return _BY_LOWER_CASE.get(event_type.lower(), event_type)


# Bandwidth waits for BXML after these: with this exporter as their URL the call would end.
WANTS_BXML = frozenset(
    (
        *("answer", "initiate", "redirect", "gather", "transferAnswer", "transferComplete"),
        *("bridgeComplete", "bridgeTargetComplete", "recordingComplete", "conferenceRedirect"),
        "referComplete",
    )
)


def may_want_bxml(event_type: str) -> bool:
    """Whether an answer without BXML may end a call: a new type may want BXML."""
    known = event_type in COUNTED_TYPES or event_type in IGNORED_TYPES
    return event_type in WANTS_BXML or not known
