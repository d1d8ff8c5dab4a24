"""Why a call ended, and whose fault that is.

The causes are those of Bandwidth's disconnect webhook page, which says that others can appear.
"""

from collections.abc import Mapping
from types import MappingProxyType

HANGUP = "hangup"

_CAUSES_OF_DOMAIN: Mapping[str, tuple[str, ...]] = {
    "none": (HANGUP,),
    "user": ("busy", "timeout", "cancel", "rejected"),
    "application": ("callback-error", "invalid-bxml", "application-error"),
    "account": ("account-limit",),
    "bandwidth": ("node-capacity-exceeded", "error", "unknown"),
}

UNCLASSIFIED = "unclassified"

DOMAIN_OF_CAUSE: Mapping[str, str] = MappingProxyType(
    {cause: domain for domain, causes in _CAUSES_OF_DOMAIN.items() for cause in causes}
)

CAUSES = tuple(DOMAIN_OF_CAUSE)
FAULT_DOMAINS = (*_CAUSES_OF_DOMAIN, UNCLASSIFIED)


def fault_domain(cause: str) -> str:
    """Return whose fault a cause is; ``unclassified`` for one that Bandwidth does not document."""
    return DOMAIN_OF_CAUSE.get(cause, UNCLASSIFIED)
