"""Bandwidth's event types, from the pages of its voice webhooks."""

DISCONNECT = "disconnect"
TRANSFER_DISCONNECT = "transferDisconnect"
COUNTED_TYPES = (DISCONNECT, TRANSFER_DISCONNECT)

# Those that are not about a call's end.
IGNORED_TYPES = (
    *("answer", "initiate", "redirect", "gather", "dtmf", "machineDetectionComplete"),
    *("bridgeComplete", "bridgeTargetComplete", "transferAnswer", "transferComplete"),
    *("conferenceCreated", "conferenceRedirect", "conferenceMemberJoin", "conferenceMemberExit"),
    *("conferenceCompleted", "conferenceRecordingAvailable"),
    *("recordingComplete", "recordingAvailable", "transcriptionAvailable"),
)

# Bandwidth waits for BXML after these: with this exporter as their URL the call would end.
WANTS_BXML = frozenset(
    (
        *("answer", "initiate", "redirect", "gather", "transferAnswer", "transferComplete"),
        *("bridgeComplete", "bridgeTargetComplete", "recordingComplete", "conferenceRedirect"),
    )
)
