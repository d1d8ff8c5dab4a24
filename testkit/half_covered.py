"""A simulated day of calls, of which webhooks are asked for in part, as in real accounts."""

import random
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from bandwidth_voice_exporter.simulate.call import Call
from bandwidth_voice_exporter.simulate.curve import HOUR
from bandwidth_voice_exporter.simulate.profile import ApplicationProfile
from bandwidth_voice_exporter.simulate.traffic import Traffic, calls

DAY = 24 * HOUR
FULL = "11111111-7d42-4f8b-9c61-0e8f7b2d4a95"
INBOUND_ALONE = "22222222-7d42-4f8b-9c61-0e8f7b2d4a95"  # its outbound calls have no disconnectUrl
SOMETIMES = "33333333-7d42-4f8b-9c61-0e8f7b2d4a95"  # one service of two asks for webhooks


def made(number: int) -> Iterator[Call]:
    """So many calls that end within the day, and second legs."""
    traffic = Traffic(
        seed=number,
        rate=number / (24 * 60),
        flat=True,
        applications=(
            ApplicationProfile(FULL, 5.0, 0.5),
            ApplicationProfile(INBOUND_ALONE, 3.0, 0.5),
            ApplicationProfile(SOMETIMES, 1.0, 0.5),
        ),
        transfer_share=0.4,
    )
    return takewhile(lambda call: call.end < DAY, calls(traffic))


def is_asked_for(event: Mapping[str, Any], dice: random.Random) -> bool:
    """Whether Bandwidth sends a webhook of a call."""
    if event.get("applicationId") == INBOUND_ALONE:
        return bool(event["direction"] == "inbound")
    return event.get("applicationId") != SOMETIMES or dice.random() < 0.6
