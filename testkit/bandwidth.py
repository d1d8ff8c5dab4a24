"""Deliveries as Bandwidth makes them: once more, after a while, where there was no answer."""

import http.client
import json
import random
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from testkit.client import Answer, Client

# Of each event that the SDK has a model for: the module, and the class in it.
MODELS = {
    "answer": "Answer",
    "bridgeComplete": "BridgeComplete",
    "bridgeTargetComplete": "BridgeTargetComplete",
    "conferenceCompleted": "ConferenceCompleted",
    "conferenceCreated": "ConferenceCreated",
    "conferenceMemberExit": "ConferenceMemberExit",
    "conferenceMemberJoin": "ConferenceMemberJoin",
    "conferenceRecordingAvailable": "ConferenceRecordingAvailable",
    "conferenceRedirect": "ConferenceRedirect",
    "disconnect": "Disconnect",
    "dtmf": "Dtmf",
    "gather": "Gather",
    "initiate": "Initiate",
    "machineDetectionComplete": "MachineDetectionComplete",
    "recordingAvailable": "RecordingAvailable",
    "recordingComplete": "RecordingComplete",
    "redirect": "Redirect",
    "referComplete": "ReferComplete",
    "transcriptionAvailable": "TranscriptionAvailable",
    "transferAnswer": "TransferAnswer",
    "transferComplete": "TransferComplete",
    "transferDisconnect": "TransferDisconnect",
}
NUMBER = "+14155550123"
TAG = "Rosalind Achterberg"


def model(event_type: str) -> Any:
    """The SDK's model of an event."""
    name = f"{MODELS[event_type]}Callback"
    words = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("_")
    return getattr(import_module(f"bandwidth.models.{words}"), name)


def event(event_type: str, dice: random.Random) -> dict[str, Any]:
    """An event of a type, with the fields that all of them have, as the SDK writes it."""
    given = {
        "eventType": event_type,
        "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "accountId": "55555555",
        "applicationId": "04e88489-df02-4e34-a0ee-27a91849555f",
        "from": NUMBER,
        "to": f"sip:{NUMBER}@pbx.example.com",
        "direction": "inbound",
        "callId": f"c-{dice.randbytes(4).hex()}-{dice.randbytes(16).hex()}",
        "tag": f"{TAG} <&> é",
        "cause": "busy",
    }
    known = {field.alias or name for name, field in model(event_type).model_fields.items()}
    wanted = {name: value for name, value in given.items() if name in known}
    read = model(event_type).from_dict(wanted)
    written = read.model_dump_json(
        by_alias=True, exclude_none=True, exclude={"additional_properties"}
    )
    return {"eventType": event_type, **json.loads(written)}


def deliver(client: Client, target: str, body: bytes, *, again_after: float) -> Answer | None:
    """POST an event, and once more where it had no answer; None where that had none either."""
    for pause in (again_after, 0.0):
        try:
            return client.request("POST", target, body)
        except (OSError, http.client.HTTPException):
            time.sleep(pause)
    return None
