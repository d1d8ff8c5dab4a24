"""Under which name a condition is told: what one person acts on has one name, by severity.

Each condition has a runbook of its own, which its messages link to.
"""

from collections.abc import Mapping
from types import MappingProxyType

_TOGETHER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ApplicationFailures": (
            "ApplicationFailureSpike",
            "ApplicationFailureRise",
            "SingleApplicationFailureSpike",
        ),
        "BandwidthFailures": (
            "BandwidthFailureSpike",
            "BandwidthFailureRise",
            "CapacityExceeded",
        ),
        "AccountLimits": ("AccountLimitSpike", "AccountLimitRise", "AccountLimitReached"),
        "UndocumentedCauses": (
            "UndocumentedFailureSpike",
            "UndocumentedFailureRise",
            "NewCause",
        ),
        "UserCauseShift": ("AsrLow", "RejectedCallsRising", "AbandonRateHigh"),
        "ShortCalls": ("ShortCallsRising", "ShortCallShareHigh"),
        "CallsSilent": ("CallsSilentSinceOpening", "CallsSilentByHand", "ApplicationSilent"),
        "WebhooksLate": ("ClockSkewed",),
        "WebhooksRefused": (
            "WebhooksUnauthorized",
            "WebhooksPartlyUnauthorized",
            "WebhooksPartlyUnauthenticated",
            "WebhooksMalformed",
            "WebhooksOverload",
        ),
        "ExporterDown": ("ExporterAbsent", "ReplicaDown"),
        "CertificateExpiring": ("CertificateExpired",),
        "LedgerFailing": ("LedgerNotDurable",),
        "ForwardFailing": ("ForwardSlow",),
    }
)
_PREFIX = "BandwidthVoice"
_TOLD_AS = {
    f"{_PREFIX}{condition}": f"{_PREFIX}{name}"
    for name, conditions in _TOGETHER.items()
    for condition in conditions
}


def short(name: str) -> str:
    """Return the name of an alert or a condition as tables have it, without what all begin with."""
    return name.removeprefix(_PREFIX)


def full(name: str) -> str:
    """Return the name that has such a short one."""
    return f"{_PREFIX}{name}"


def of_condition(condition: str) -> dict[str, str]:
    """Return the label that tells a condition apart from the others of its alert."""
    shares = condition in _TOLD_AS or condition in _TOLD_AS.values()
    return {"condition": short(condition)} if shares else {}


def told_as(condition: str) -> str:
    """Return the alert's name for a condition's."""
    return _TOLD_AS.get(condition, condition)
