"""An ended call, of which whoever needs one says only what matters."""

from typing import Any

import msgspec

from bandwidth_voice_exporter.voice import CallEnded

_PLAIN = CallEnded(
    received=0,
    event_type="disconnect",
    call_id=None,
    parent_call_id=None,
    sip_call_id=None,
    application="missing",
    direction="inbound",
    cause="hangup",
    answered=True,
    error_id=None,
    error_message=None,
    sip_response_code=None,
    start_time=None,
    end_time=None,
    delay=None,
    queue=None,
    setup=None,
    talk=None,
    unanswered=None,
)


def ended(**fields: Any) -> CallEnded:
    """Return an answered inbound call that ended normally, with other fields."""
    return msgspec.structs.replace(_PLAIN, **fields)
