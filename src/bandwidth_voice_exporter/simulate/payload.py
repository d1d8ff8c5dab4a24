"""An ended call in the words of Bandwidth's webhook."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from bandwidth_voice_exporter.simulate.call import Call

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_API = "https://voice.bandwidth.com/api/v2"

Payload = dict[str, str | int | None]


def payload(call: Call, ended_ms: int) -> Payload:
    """Return the webhook's fields for a call that ended at ``ended_ms`` (unix milliseconds)."""
    answered_ms = None if call.talk_ms is None else ended_ms - call.talk_ms
    started_ms = (ended_ms if answered_ms is None else answered_ms) - call.ring_ms
    enqueued_ms = None if call.queue_ms is None else started_ms - call.queue_ms
    end = _iso(ended_ms)
    fields: Payload = {"eventType": call.event_type, "eventTime": end}
    if call.application is not None:
        fields |= {"accountId": call.account_id, "applicationId": call.application}
    fields |= {
        "from": call.caller,
        "to": call.callee,
        "callId": call.call_id,
        "direction": call.direction,
        "callUrl": f"{_API}/accounts/{call.account_id}/calls/{call.call_id}",
        "startTime": _iso(started_ms),
        "endTime": end,
        "cause": call.cause,
    }
    if call.transfer is not None:
        fields |= {
            "parentCallId": call.transfer.parent_call_id,
            "transferCallerId": call.transfer.caller_id,
            "transferTo": call.transfer.to,
        }
    optional: Payload = {
        "enqueuedTime": None if enqueued_ms is None else _iso(enqueued_ms),
        "answerTime": None if answered_ms is None else _iso(answered_ms),
        "errorMessage": call.error_message,
        "errorId": call.error_id,
        "tag": call.tag,
        "sipCallId": call.sip_call_id,
        "sipResponseCode": call.sip_response_code,
    }
    for name, value in optional.items():
        if value is not None or call.nulls:
            fields[name] = value
    return fields


def as_json(fields: Payload) -> bytes:
    """Return the body of a POST."""
    return msgspec.json.encode(fields)


def as_query(fields: Payload) -> bytes:
    """Return the query string of a GET; a null is an empty value."""
    pairs = [(name, "" if value is None else value) for name, value in fields.items()]
    return urlencode(pairs).encode("ascii")


def _iso(unix_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=unix_ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
