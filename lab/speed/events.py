"""The events that every receiver is sent: as Bandwidth sends them, one in ten a failed call."""

import base64
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

USER, PASSWORD = "bandwidth", "correct horse"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
PATH = "/webhooks/voice"

# The places where each event has ids of its own; the sender puts them there.
CALL_ID, ERROR_ID = "@CALL_ID@", "@ERROR_ID@"

_FAILURES = {
    "busy": "Callee is busy",
    "timeout": "Call was not answered before the timeout",
    "cancel": "Caller hung up before the call was answered",
    "rejected": "Call was rejected by the callee",
    "callback-error": "No valid response from the answer webhook",
}
KINDS = 500
_FAILING = 0.1


def application(number: int) -> str:
    """The id of one of the applications."""
    return f"{number:08x}-df02-4e34-a0ee-27a91849555f"


def event(dice: random.Random, application_id: str) -> dict[str, str | None]:
    """An ended call with its ids left open."""
    end = datetime.now(UTC) - timedelta(seconds=dice.uniform(0.05, 0.5))
    cause = dice.choice(tuple(_FAILURES)) if dice.random() < _FAILING else "hangup"
    ringing = timedelta(seconds=dice.uniform(1, 30))
    start = end - ringing - timedelta(seconds=dice.expovariate(1 / 150))
    is_answered = cause == "hangup"
    return {
        "eventType": "disconnect",
        "eventTime": _written(end),
        "accountId": "55555555",
        "applicationId": application_id,
        "from": f"+1919555{dice.randrange(10_000):04}",
        "to": f"+1303555{dice.randrange(10_000):04}",
        "callId": CALL_ID,
        "direction": dice.choice(("inbound", "outbound")),
        "callUrl": f"https://voice.bandwidth.com/api/v2/accounts/55555555/calls/{CALL_ID}",
        "enqueuedTime": _written(start - timedelta(seconds=dice.uniform(0, 1))),
        "startTime": _written(start),
        "answerTime": _written(start + ringing) if is_answered else None,
        "endTime": _written(end),
        "cause": cause,
        "errorMessage": _FAILURES.get(cause),
        "errorId": None if is_answered else ERROR_ID,
        "tag": None,
    }


def write(file: Path, applications: int, call_ids: Sequence[str] = ()) -> None:
    """Write the bodies that a sender goes through again and again, one a line.

    With call ids each has one of these: they are deliveries of calls that there were.
    """
    dice = random.Random(applications)
    bodies = [event(dice, application(number % applications)) for number in range(KINDS)]
    for body, call_id in zip(bodies, call_ids, strict=False):
        body["callId"] = call_id
    file.write_text("".join(f"{json.dumps(body)}\n" for body in bodies))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
