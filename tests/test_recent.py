"""The memory of the newest calls."""

from bandwidth_voice_exporter.event import DISCONNECT, TRANSFER_DISCONNECT
from bandwidth_voice_exporter.recent import Recent


def test_remembered() -> None:
    """A leg is new once; another event type with the same id is another leg."""
    recent = Recent()
    assert recent.add(DISCONNECT, "c-1")
    assert not recent.add(DISCONNECT, "c-1")
    assert recent.add(TRANSFER_DISCONNECT, "c-1")
    assert not recent.add(TRANSFER_DISCONNECT, "c-1")


def test_without_an_id() -> None:
    """A leg without an id is always new."""
    recent = Recent()
    assert recent.add(DISCONNECT, None)
    assert recent.add(DISCONNECT, None)


def test_oldest_go_first() -> None:
    """Beyond the cap the oldest leg is forgotten, and only that one."""
    recent = Recent(cap=3)
    for number in range(4):
        assert recent.add(DISCONNECT, f"c-{number}")
    assert [recent.add(DISCONNECT, f"c-{number}") for number in (1, 2, 3)] == [False] * 3
    assert recent.add(DISCONNECT, "c-0")
