"""Causes and fault domains."""

import pytest

from bandwidth_voice_exporter.voice.causes import CAUSES, FAULT_DOMAINS, fault_domain

DOCUMENTED = {
    "hangup": "none",
    "busy": "user",
    "timeout": "user",
    "cancel": "user",
    "rejected": "user",
    "callback-error": "application",
    "invalid-bxml": "application",
    "application-error": "application",
    "account-limit": "account",
    "node-capacity-exceeded": "bandwidth",
    "error": "bandwidth",
    "unknown": "bandwidth",
}


@pytest.mark.parametrize(("cause", "domain"), DOCUMENTED.items())
def test_fault_domain_of_documented_causes(cause: str, domain: str) -> None:
    """Every cause that Bandwidth documents has the fault domain of whoever can mend it."""
    assert fault_domain(cause) == domain


def test_causes_are_the_documented_ones() -> None:
    """The causes known from the start are those that Bandwidth documents, each once."""
    assert sorted(CAUSES) == sorted(DOCUMENTED)


@pytest.mark.parametrize("cause", ["glare", "missing", "invalid", "other", "Busy", ""])
def test_everything_else_is_unclassified(cause: str) -> None:
    """A new, missing or invalid cause is nobody's fault yet."""
    assert fault_domain(cause) == "unclassified"


def test_fault_domains_are_closed() -> None:
    """The set of fault domains is the one of the metric contract."""
    expected = {"none", "user", "application", "account", "bandwidth", "unclassified"}
    assert set(FAULT_DOMAINS) == expected
    assert len(FAULT_DOMAINS) == len(expected)
