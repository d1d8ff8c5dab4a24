"""The profile of simulated calls: how often each cause comes, how long calls take, messages."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from bandwidth_voice_exporter.voice import HANGUP

Weights = tuple[tuple[str, float], ...]


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How calls with one cause go; times in seconds."""

    answered_share: float = 0.0
    talk_median: float = 8.0
    talk_sigma: float = 0.7
    talk_longest: float = 600.0
    ring_median: float = 2.0  # of calls never answered
    rings_out: bool = False  # rings for exactly the call timeout
    messages: tuple[str, ...] = ("An error occurred",)
    sip_codes: tuple[int | None, ...] = (None,)  # of outbound calls never answered


_BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType(
    {
        HANGUP: Behaviour(
            answered_share=0.96,
            talk_median=90.0,
            talk_sigma=1.1,
            talk_longest=4 * 3600.0,
            ring_median=12.0,
            messages=(),
        ),
        "busy": Behaviour(
            messages=("Callee is busy", "Callee {to} is busy"),
            sip_codes=(486, 486, 486, 486, 600),
        ),
        "timeout": Behaviour(
            rings_out=True,
            messages=("Call was not answered", "Call to {to} was not answered"),
            sip_codes=(None, None, 408, 480),
        ),
        "cancel": Behaviour(
            ring_median=9.0,
            messages=("Call was canceled", "Call was canceled before it was answered"),
        ),
        "rejected": Behaviour(
            ring_median=3.0,
            messages=("Callee rejected the call", "Callee {to} rejected the call"),
            sip_codes=(603, 603, 603, 403, 404, 484),
        ),
        "callback-error": Behaviour(
            answered_share=0.85,
            messages=("Callback could not be delivered: HTTP 503", "Callback timed out"),
        ),
        "invalid-bxml": Behaviour(
            answered_share=0.9,
            talk_median=4.0,
            messages=("Invalid BXML: element not allowed here", "Invalid BXML: not well-formed"),
        ),
        "application-error": Behaviour(
            answered_share=0.9,
            talk_median=15.0,
            messages=("Unsupported action", "Cannot transfer to {to}"),
        ),
        "account-limit": Behaviour(
            ring_median=0.05,
            messages=("Account call limit reached", "Call to {to} exceeds the account's call rate"),
        ),
        "node-capacity-exceeded": Behaviour(
            ring_median=0.05, messages=("Capacity exceeded",), sip_codes=(None, 503)
        ),
        "error": Behaviour(
            answered_share=0.4,
            messages=("Internal error", "Call to {to} failed"),
            sip_codes=(None, 500, 503),
        ),
        "unknown": Behaviour(answered_share=0.4, messages=("Unknown error",)),
    }
)
# Of causes that nobody has documented yet.
_UNDOCUMENTED = Behaviour(answered_share=0.5)


def behaviour(cause: str) -> Behaviour:
    """Return how calls with ``cause`` go, documented or not."""
    return _BEHAVIOURS.get(cause, _UNDOCUMENTED)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The character of the traffic, all of it in shares from 0 to 1 and in seconds."""

    inbound: Weights = (
        (HANGUP, 0.9630),
        ("cancel", 0.0260),
        ("rejected", 0.0020),
        ("callback-error", 0.0025),
        ("invalid-bxml", 0.0010),
        ("application-error", 0.0015),
        ("account-limit", 0.0005),
        ("node-capacity-exceeded", 0.0002),
        ("error", 0.0025),
        ("unknown", 0.0008),
    )
    outbound: Weights = (
        (HANGUP, 0.7000),
        ("timeout", 0.1200),
        ("busy", 0.0700),
        ("cancel", 0.0340),
        ("rejected", 0.0600),
        ("callback-error", 0.0025),
        ("invalid-bxml", 0.0010),
        ("application-error", 0.0020),
        ("account-limit", 0.0020),
        ("node-capacity-exceeded", 0.0005),
        ("error", 0.0060),
        ("unknown", 0.0020),
    )
    transferred: Weights = (
        (HANGUP, 0.82),
        ("timeout", 0.08),
        ("busy", 0.05),
        ("rejected", 0.05),
    )
    call_timeout: float = 30.0
    inbound_ring_median: float = 0.6
    outbound_ring_median: float = 7.0
    ring_sigma: float = 0.5
    queued_share: float = 0.3  # of outbound calls
    unqueued_share: float = 0.4  # of those, the ones that did not wait
    queue_mean: float = 6.0
    queue_longest: float = 300.0
    no_error_id_share: float = 0.04  # of failed calls
    tag_share: float = 0.25
    sip_call_id_share: float = 0.6
    nulls_share: float = 0.5


class ApplicationProfile(msgspec.Struct, frozen=True):
    """A voice application, how much of the traffic is its, and how much of that is inbound."""

    application_id: str
    weight: float = 1.0
    inbound_share: float = 0.5


# A contact centre, a dialler and an IVR.
APPLICATIONS = (
    ApplicationProfile("3f0c1c9e-6a51-4d1b-9b0e-2d8a53c07a11", 5.0, 0.92),
    ApplicationProfile("7b6ee3a4-20d5-4c8f-8a3b-91f4c8e25b22", 3.0, 0.05),
    ApplicationProfile("c19d2f70-e84b-4f36-b5a7-06de17b94c33", 2.0, 0.7),
)
