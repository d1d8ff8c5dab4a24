"""The memory of the newest calls."""

from bandwidth_voice_exporter.ledger.recent import Recent
from bandwidth_voice_exporter.voice.event_types import DISCONNECT, TRANSFER_DISCONNECT


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


def test_newest_are_kept() -> None:
    """However many legs came, as many as the cap are recognised, the oldest of them too."""
    recent = Recent(cap=100)
    for number in range(1_000):
        assert recent.add(DISCONNECT, f"c-{number}")
        oldest = max(0, number - 99)
        assert not recent.add(DISCONNECT, f"c-{oldest}")


def test_oldest_go_first() -> None:
    """A leg is forgotten once a quarter more than the cap came after it."""
    recent = Recent(cap=100)
    for number in range(126):
        assert recent.add(DISCONNECT, f"c-{number}")
    assert recent.add(DISCONNECT, "c-0")
